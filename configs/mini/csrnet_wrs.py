# CSRNet with weight rescaling (WRS) on the drawn crowds, from random weights.
_base_ = "./csrnet_wd.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WRS", interval=1),
)
