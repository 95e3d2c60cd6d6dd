# The nine-layer CNN on CIFAR-10 with batch norm and weight decay: the baseline, in the protocol of the constrained paper
# (section 4.1.1): 200 epochs on a cosine in batches of 128. The paper gives rate and decay for its own method only;
# these are the usual ones.
_base_ = [
    "../_base_/models/cnn9.py",
    "../_base_/datasets/cifar10_crop_flip.py",
    "../_base_/schedules/cosine_200e.py",
    "../_base_/runtimes/classification.py",
]

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    type="OptimWrapper",
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WD"),  # on kernels and gammas, as in the paper
    optimizer=dict(type="SGD", lr=0.1, momentum=0.9, weight_decay=5e-4),
)
# All numbers assume this many images per update and per iteration. On several GPUs: docs/multi_gpu.md
auto_scale_lr = dict(enable=False, base_batch_size=128, written_for=128)
# Images of mean 0 and deviation 1: without norm layers, as with PGD, the net depends on their scale.
model = dict(data_preprocessor=dict(mean=[125.3, 123.0, 113.9], std=[63.0, 62.1, 66.7]))
