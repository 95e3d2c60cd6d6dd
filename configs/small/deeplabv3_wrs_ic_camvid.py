# DeepLabv3 with WRS(IC), one norm per kernel position, on CamVid, small, from random weights.
_base_ = "./deeplabv3_wd_camvid.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WRS", interval=10, per="position"),
)
