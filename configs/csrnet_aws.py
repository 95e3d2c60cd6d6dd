# CSRNet on UCF-QNRF with adaptive weight shrink (AWS) on weight-standardized convolutions. The AWS paper does not try
# counting. Its alpha of 2.5e-3 is for ImageNet, SGD and a rate of 0.1.
_base_ = "./csrnet_wd.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(constructor="NormRegOptimWrapperConstructor", regularizer=dict(type="AWS", alpha=2.5e-3))
model = dict(backbone=dict(conv_cfg=dict(type="NormRegWSConv2d")))
