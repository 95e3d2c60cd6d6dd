# ResNet-18 on CIFAR-10 with weight rescaling (WRS), in the protocol of resnet18_cifar10_wd.py. Weight decay acts on the
# norm layers' own parameters only (Algorithm 1, line 7). The output layer is rescaled too, as the paper does "for
# classification tasks" (lines 15-17). Its filters begin at norm 0.23 and get norm 1 at the tenth update.
#
# The paper chooses the interval of 10, 20, ... 50 on a validation set: --cfg-options
# optim_wrapper.regularizer.interval=20. For WRS(IC): --cfg-options optim_wrapper.regularizer.per=position
_base_ = "./resnet18_cifar10_wd.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WRS", interval=10, decay_on="norm_layers", output_layers="head.fc"),
)
