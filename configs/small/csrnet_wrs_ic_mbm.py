# CSRNet with WRS(IC), one norm per kernel position, on MBM, small, from random weights.
_base_ = "./csrnet_wd_mbm.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WRS", interval=1, per="position"),
)
