# ResNet-110 on CIFAR-10 with batch norm and weight decay: the baseline, in the protocol of the constrained paper.
_base_ = [
    "../_base_/models/resnet110.py",
    "../_base_/datasets/cifar10_crop_flip.py",
    "../_base_/schedules/cosine_200e.py",
    "../_base_/runtimes/classification.py",
]

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(constructor="NormRegOptimWrapperConstructor", regularizer=dict(type="WD"))  # on kernels and gammas
# Images of mean 0 and deviation 1: without norm layers, as with PGD, the net depends on their scale.
model = dict(data_preprocessor=dict(mean=[125.3, 123.0, 113.9], std=[63.0, 62.1, 66.7]))
