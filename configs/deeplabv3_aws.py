# DeepLabv3 on VOC 2012 with adaptive weight shrink (AWS). Every convolution that a norm layer follows computes with a
# standardized weight (WS), as in the AWS paper, which does not try segmentation.
#
# alpha. An update shrinks a filter by the factor 1 - lr * alpha * std (eq. 21). The rates of the 55,026 updates add up
# to 2.92. With the paper's 2.5e-3, which is for SGD from a rate of 0.1, a filter of std 0.04 would shrink by 3e-4 over
# the whole training: AWS would not act. In the paper's ImageNet run (100 epochs, 5,005 updates each, rate 0.1 divided by
# 10 every 30) the rates add up to 16,672. alpha = 2.5e-3 * 16,672 / 2.92 = 14.3 gives the same product here: 41.7 * 0.04
# = 1.7 nats, if nothing made the filter grow. That translation is ours.
#
# The ImageNet weights load under their own names, and the standardization subtracts their means. The norm layers learn
# the new scale within the first updates. To begin from a trained net with batch norm instead:
# tools/checkpoints/convert_checkpoint.py --to ws
_base_ = "./deeplabv3_wd.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="AWS", alpha=14.3),
    paramwise_cfg=dict(bias_decay_mult=0.0),  # no weight decay on biases and betas (experimental setting)
)
weight_standardized = dict(type="NormRegWSConv2d")
model = dict(
    backbone=dict(conv_cfg=weight_standardized),
    decode_head=dict(conv_cfg=weight_standardized),
)
