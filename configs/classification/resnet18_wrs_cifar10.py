# ResNet-18 on CIFAR-10 with weight rescaling (WRS). The output layer is rescaled too, as the paper does "for
# classification tasks" (Algorithm 1, lines 15-17): its filters begin at norm 0.23 and get norm 1 at the tenth update.
# The paper chooses the interval from 10, 20, ... 50: --cfg-options optim_wrapper.regularizer.interval=20
_base_ = "./resnet18_wd_cifar10.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WRS", interval=10, output_layers="head.fc"),
)
