# VGG16-BN on CIFAR-100 with weight rescaling (WRS). resnet18_cifar10_wrs.py says more.
_base_ = "./vgg16bn_cifar100_wd.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WRS", interval=10, decay_on="norm_layers", output_layers="head.fc"),
)
