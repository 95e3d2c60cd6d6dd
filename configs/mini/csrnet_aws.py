# CSRNet with adaptive weight shrink (AWS) on weight-standardized convolutions, on the drawn crowds, from random
# weights.
_base_ = "./csrnet_wd.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(constructor="NormRegOptimWrapperConstructor", regularizer=dict(type="AWS", alpha=2.5e-3))
model = dict(backbone=dict(conv_cfg=dict(type="NormRegWSConv2d")))
