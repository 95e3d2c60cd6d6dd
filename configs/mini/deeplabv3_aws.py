# DeepLabv3 with adaptive weight shrink (AWS) on weight-standardized convolutions, on the drawn set, from random
# weights.
# So short a training needs a large alpha: its 240 rates add up to 0.13, and filters of std 0.06 would shrink by
# 0.4 nats.
_base_ = "./deeplabv3_wd.py"

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
work_dir = "work_dirs/mini/deeplabv3_aws"  # configs/deeplabv3_aws.py writes to work_dirs/deeplabv3_aws
