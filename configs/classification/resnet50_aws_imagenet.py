# ResNet-50 on ImageNet with adaptive weight shrink (AWS) on weight-standardized convolutions (AWS paper, eq. 21,
# Table 3). With weight-normalized ones (eq. 20, Table 2): --cfg-options model.backbone.conv_cfg.type=NormRegWNConv2d
# optim_wrapper.regularizer.alpha=1e-4
_base_ = "./resnet50_wd_imagenet.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="AWS", alpha=2.5e-3),
    paramwise_cfg=dict(bias_decay_mult=0.0),  # no weight decay on biases and betas (experimental setting)
)
model = dict(backbone=dict(conv_cfg=dict(type="NormRegWSConv2d")))
