# ResNet-18 on CIFAR-10 with bounded weight norm (BWN) and mean-only batch norm (WRS paper, Fig. 6b; Hoffer et al. 2018).
# The mean of the batch is taken away and nothing is divided, so only the fixed norm of the weights bounds the activations.
# The paper writes that VGG16 explodes in this way.
_base_ = "./resnet18_cifar10_bwn.py"

model = dict(backbone=dict(norm_cfg=dict(type="NormRegMeanOnlyBN")))
