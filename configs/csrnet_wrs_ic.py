# CSRNet on UCF-QNRF with WRS(IC), one norm per kernel position, after every update. The first one
# changes what VGG16-BN computes, and the log says how far filters move; in the paper weights begin at random.
_base_ = "./csrnet_wd.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WRS", interval=1, per="position"),
)
