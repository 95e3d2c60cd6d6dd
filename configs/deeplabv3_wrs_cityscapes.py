# DeepLabv3 on Cityscapes with weight rescaling (WRS) every 10 updates: see deeplabv3_wd_cityscapes.py. About the named
# classifier: see deeplabv3_wrs.py.
_base_ = "./deeplabv3_wd_cityscapes.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WRS", interval=10, output_layers=("decode_head.conv_seg",)),
)
