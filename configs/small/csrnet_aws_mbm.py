# CSRNet with adaptive weight shrink (AWS) on weight-standardized convolutions, on MBM, small, from random weights.
# So short a training needs a large alpha, as in configs/mini/csrnet_aws.py.
_base_ = "./csrnet_wd_mbm.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="AWS", alpha=100.0),
    paramwise_cfg=dict(bias_decay_mult=0.0),  # no weight decay on biases and betas (experimental setting)
)
model = dict(backbone=dict(conv_cfg=dict(type="NormRegWSConv2d")))
