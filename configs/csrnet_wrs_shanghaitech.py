# CSRNet on ShanghaiTech part A with weight rescaling (WRS) after every update.
_base_ = "./csrnet_wd_shanghaitech.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WRS", interval=1),
)
