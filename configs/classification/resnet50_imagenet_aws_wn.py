# ResNet-50 on ImageNet with adaptive weight shrink (AWS) on weight-normalized convolutions (AWS paper, eq. 20, Table 2,
# "w/ WN"). 1e-4 is the best alpha for SGD there: AWS measures a filter's norm here, which is larger than its std.
_base_ = "./resnet50_imagenet_aws.py"

optim_wrapper = dict(regularizer=dict(alpha=1e-4))
model = dict(backbone=dict(conv_cfg=dict(type="NormRegWNConv2d")))
