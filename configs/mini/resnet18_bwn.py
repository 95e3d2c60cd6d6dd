# A small ResNet-18 with bounded weight norm (BWN) and mean-only batch norm on the digits.
_base_ = "./resnet18_wd.py"

model = dict(backbone=dict(conv_cfg=dict(type="NormRegBWNConv2d"), norm_cfg=dict(type="NormRegMeanOnlyBN")))
work_dir = "work_dirs/mini/resnet18_bwn"
