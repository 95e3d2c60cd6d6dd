# YOLOv3 on COCO 2017 with adaptive weight shrink (AWS). AWS needs layers that normalize their weight: here every
# convolution that a norm layer follows computes with a standardized weight (WS), as in the AWS paper, which does not
# try detection. An update shrinks a filter by the factor 1 - lr * alpha * std (eq. 21). The paper's alpha for ImageNet
# is 2.5e-3. It is multiplied by 8 because the learning rate is divided by 8: see yolov3_wd.py.
#
# Does it act? The rates of all 1,465,900 updates add up to 916, so alpha times this sum is 18. A filter of std 0.06, as
# at random initialization, would shrink by 1.1 nats, to a third, if nothing made it grow. In the paper's ImageNet run
# (100 epochs from rate 0.1, 16,672 in sum) alpha times the sum is 42.
_base_ = "./yolov3_wd.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="AWS", alpha=8 * 2.5e-3),
    paramwise_cfg=dict(bias_decay_mult=0.0),  # no weight decay on biases and betas (experimental setting)
)
weight_standardized = dict(type="NormRegWSConv2d")
model = dict(
    backbone=dict(conv_cfg=weight_standardized),
    neck=dict(conv_cfg=weight_standardized),
    bbox_head=dict(conv_cfg=weight_standardized),
)
