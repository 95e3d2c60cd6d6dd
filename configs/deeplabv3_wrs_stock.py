# mmseg's own DeepLabv3-R101 on VOC 2012 (deeplabv3_r101-d8_4xb4-20k_voc12aug-512x512) and two lines for WRS. Its files
# are written out here, because a base named "mmseg::..." works in the classic distribution only.
_base_ = [
    "_base_/models/deeplabv3_r101_stock.py",
    "_base_/datasets/voc12aug_stock.py",
    "_base_/schedules/deeplabv3_stock_20k.py",
    "_base_/runtimes/segmentation.py",
]

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(constructor="NormRegOptimWrapperConstructor", regularizer=dict(type="WRS", interval=10))
