# ResNet-50 on ImageNet with adaptive weight shrink (AWS) on weight-standardized convolutions (AWS paper, eq. 21, Table 3,
# "WS + AWS"). Its alpha is 2.5e-3. The rates of the 500,500 updates add up to 16,672, so a filter of std 0.03 would shrink
# by 1.25 nats, if nothing made it grow. Table 2 tries 1e-1 to 1e-5.
_base_ = "./resnet50_imagenet_wd.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="AWS", alpha=2.5e-3),
    paramwise_cfg=dict(bias_decay_mult=0.0),  # no weight decay on biases and betas (experimental setting)
)
model = dict(backbone=dict(conv_cfg=dict(type="NormRegWSConv2d")))
