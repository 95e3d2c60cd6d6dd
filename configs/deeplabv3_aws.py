# DeepLabv3 on VOC 2012 with adaptive weight shrink (AWS) on weight-standardized convolutions. alpha=14.3 gives lr *
# alpha the sum of the AWS paper's ImageNet run, because the rates are AdamW's here: docs/protocols.md
_base_ = "./deeplabv3_wd.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="AWS", alpha=14.3),
    paramwise_cfg=dict(bias_decay_mult=0.0),  # no weight decay on biases and betas (experimental setting)
)
weight_standardized = dict(type="NormRegWSConv2d")
model = dict(
    backbone=dict(conv_cfg=weight_standardized, init_cfg=dict(type="NormRegPretrained")),
    decode_head=dict(conv_cfg=weight_standardized),
)
auto_scale_lr = dict(variant={"optim_wrapper.regularizer.alpha": 18.1})  # the rates are multiplied by sqrt(1.6) too
