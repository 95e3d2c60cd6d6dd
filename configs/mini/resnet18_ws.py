# A small ResNet-18 with weight standardization (WS) and weight decay on the digits.
_base_ = "./resnet18_wd.py"

model = dict(backbone=dict(conv_cfg=dict(type="NormRegWSConv2d")))
work_dir = "work_dirs/mini/resnet18_ws"
