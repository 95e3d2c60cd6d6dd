# DeepLabv3 on VOC 2012 with adaptive weight shrink (AWS). Every convolution that a norm layer follows computes with a
# standardized weight (WS), as in the AWS paper, which does not try segmentation. alpha is that paper's for SGD at rate
# 0.1. Under Adam it found 1e-5 to 1e-1 nearly alike (its Table 2), and at a rate of 1e-4 a shrink of lr * alpha * std
# is tiny.
#
# The ImageNet weights load under their own names, and the standardization subtracts their means. The norm layers learn
# the new scale within the first updates. To begin from a trained net with batch norm instead:
# tools/checkpoints/convert_checkpoint.py --to ws
_base_ = "./deeplabv3_wd.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(constructor="NormRegOptimWrapperConstructor", regularizer=dict(type="AWS", alpha=2.5e-3))
weight_standardized = dict(type="NormRegWSConv2d")
model = dict(
    backbone=dict(conv_cfg=weight_standardized),
    decode_head=dict(conv_cfg=weight_standardized),
)
