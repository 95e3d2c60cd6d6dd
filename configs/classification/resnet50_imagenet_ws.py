# ResNet-50 on ImageNet with weight standardization (WS) and weight decay (AWS paper, Table 3, "WS + WD").
_base_ = "./resnet50_imagenet_wd.py"

model = dict(backbone=dict(conv_cfg=dict(type="NormRegWSConv2d")))
