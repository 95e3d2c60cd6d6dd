# The nine-layer CNN on CIFAR-100 with batch norm and weight decay: the baseline, in the protocol of the constrained paper.
_base_ = [
    "../_base_/models/cnn9.py",
    "../_base_/datasets/cifar100_crop_flip.py",
    "../_base_/schedules/cosine_200e.py",
    "../_base_/runtimes/classification.py",
]

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(constructor="NormRegOptimWrapperConstructor", regularizer=dict(type="WD"))  # on kernels and gammas
# Images of mean 0 and deviation 1: without norm layers, as with PGD, the net depends on their scale.
model = dict(data_preprocessor=dict(mean=[129.3, 124.1, 112.4], std=[68.2, 65.4, 70.4]), head=dict(num_classes=100))
