# DeepLabv3 on Cityscapes with weight rescaling (WRS) every 10 updates.
_base_ = "./deeplabv3_wd_cityscapes.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WRS", interval=10),
)
