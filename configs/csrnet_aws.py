# CSRNet on UCF-QNRF with adaptive weight shrink (AWS) on weight-standardized convolutions. alpha=41 gives lr * alpha the
# sum of the AWS paper's ImageNet run, because the rate is Adam's 1e-4 here: docs/protocols.md
_base_ = "./csrnet_wd.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="AWS", alpha=41.0),
    paramwise_cfg=dict(bias_decay_mult=0.0),  # no weight decay on biases and betas (experimental setting)
)
model = dict(backbone=dict(conv_cfg=dict(type="NormRegWSConv2d")))
