# A small ResNet-18 with adaptive weight shrink (AWS) on weight-standardized convolutions, on the digits. So short a training
# needs a large alpha: its 320 rates add up to 16.0, and filters of std 0.1 would shrink by 0.8 nats.
_base_ = "./resnet18_wd.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="AWS", alpha=0.5),
    paramwise_cfg=dict(bias_decay_mult=0.0),  # no weight decay on biases and betas (experimental setting)
)
model = dict(backbone=dict(conv_cfg=dict(type="NormRegWSConv2d")))
work_dir = "work_dirs/mini/resnet18_aws"
