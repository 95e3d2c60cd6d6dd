# DeepLabv3 with adaptive weight shrink (AWS) on weight-standardized convolutions, on the drawn set, from random
# weights.
_base_ = "./deeplabv3_wd.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(constructor="NormRegOptimWrapperConstructor", regularizer=dict(type="AWS", alpha=2.5e-3))
weight_standardized = dict(type="NormRegWSConv2d")
model = dict(
    backbone=dict(conv_cfg=weight_standardized),
    decode_head=dict(conv_cfg=weight_standardized),
)
work_dir = "work_dirs/mini/deeplabv3_aws"  # configs/deeplabv3_aws.py writes to work_dirs/deeplabv3_aws
