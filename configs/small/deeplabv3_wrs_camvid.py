# DeepLabv3 with weight rescaling (WRS) on CamVid, small, from random weights.
_base_ = "./deeplabv3_wd_camvid.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WRS", interval=10),
)
