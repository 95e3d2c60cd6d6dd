# VGG16-BN on CIFAR-100 with weight decay: the baseline, in the protocol of the WRS paper (section VI-A, Table I). The
# schedule is that of CIFAR-10; the paper gives none.
_base_ = [
    "../_base_/models/vgg16bn_cifar.py",
    "../_base_/datasets/cifar100.py",
    "../_base_/schedules/steps_100e.py",
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
auto_scale_lr = dict(enable=False, base_batch_size=100, written_for=100)
model = dict(head=dict(num_classes=100))
