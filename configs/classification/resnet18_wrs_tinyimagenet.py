# ResNet-18 on Tiny ImageNet with weight rescaling (WRS). See resnet18_wrs_cifar10.py.
_base_ = "./resnet18_wd_tinyimagenet.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WRS", interval=10, output_layers="head.fc"),
)
