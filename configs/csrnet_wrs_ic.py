# CSRNet on UCF-QNRF with WRS(IC), one norm per kernel position, after every update.
_base_ = "./csrnet_wd.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WRS", interval=1, per="position"),
)
