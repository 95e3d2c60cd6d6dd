# mmseg's own DeepLabv3-R101 on VOC 2012 (deeplabv3_r101-d8_4xb4-20k_voc12aug-512x512), and two lines for weight
# rescaling. It has 20,000 updates of 4 x 4 images, SGD, output stride 8 and an auxiliary head. Its files are written
# out in _base_ because `_base_ = "mmseg::..."` resolves in the classic distribution only. Weight decay stays on
# everything that is not rescaled, the default in users' configs. The paper's protocol: see deeplabv3_wrs.py.
_base_ = [
    "_base_/models/deeplabv3_r101_stock.py",
    "_base_/datasets/voc12aug_stock.py",
    "_base_/schedules/deeplabv3_stock_20k.py",
    "_base_/runtimes/segmentation.py",
]

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(constructor="NormRegOptimWrapperConstructor", regularizer=dict(type="WRS", interval=10))
