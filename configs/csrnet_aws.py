# CSRNet on UCF-QNRF with adaptive weight shrink (AWS) on weight-standardized convolutions. The AWS paper does not try
# counting.
#
# alpha. The 10,200 updates at 1e-4 add up to 1.02. With the paper's 2.5e-3, which is for SGD from a rate of 0.1, a
# filter of std 0.03 would shrink by 8e-5 over the whole training: AWS would not act. alpha = 2.5e-3 * 16,672 / 1.02 = 41
# gives lr * alpha the sum of the paper's ImageNet run: see deeplabv3_aws.py. That is 1.3 nats for a std of 0.03.
_base_ = "./csrnet_wd.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="AWS", alpha=41.0),
    paramwise_cfg=dict(bias_decay_mult=0.0),  # no weight decay on biases and betas (experimental setting)
)
model = dict(backbone=dict(conv_cfg=dict(type="NormRegWSConv2d")))
