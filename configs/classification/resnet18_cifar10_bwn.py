# ResNet-18 on CIFAR-10 with bounded weight norm (BWN, Hoffer et al. 2018): each convolution computes with a weight matrix
# of fixed norm. Here with batch norm. The WRS paper shows BWN with mean-only batch norm (Fig. 6b), which is
# resnet18_cifar10_bwn_mean_only.py.
_base_ = "./resnet18_cifar10_wd.py"

model = dict(backbone=dict(conv_cfg=dict(type="NormRegBWNConv2d")))
