# DeepLabv3 with adaptive weight shrink (AWS) on weight-standardized convolutions, on CamVid, small, from random weights.
# So short a training needs a large alpha, as in configs/mini/deeplabv3_aws.py.
_base_ = "./deeplabv3_wd_camvid.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="AWS", alpha=50.0),
    paramwise_cfg=dict(bias_decay_mult=0.0),  # no weight decay on biases and betas (experimental setting)
)
weight_standardized = dict(type="NormRegWSConv2d")
model = dict(
    backbone=dict(conv_cfg=weight_standardized),
    decode_head=dict(conv_cfg=weight_standardized),
)
