# YOLOv3 on COCO 2017 with adaptive weight shrink (AWS). AWS needs layers that normalize their weight: here every
# convolution that a norm layer follows computes with a standardized weight (WS), as in the AWS paper, which does not
# try detection. An update shrinks a filter by the factor 1 - lr * alpha * std (eq. 21). The paper's alpha for ImageNet
# is 2.5e-3. It is multiplied by 8 because the learning rate is divided by 8: see yolov3_wd.py.
_base_ = "./yolov3_wd.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="AWS", alpha=8 * 2.5e-3),
)
weight_standardized = dict(type="NormRegWSConv2d")
model = dict(
    backbone=dict(conv_cfg=weight_standardized),
    neck=dict(conv_cfg=weight_standardized),
    bbox_head=dict(conv_cfg=weight_standardized),
)
