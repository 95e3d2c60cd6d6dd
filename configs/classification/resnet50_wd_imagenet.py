# ResNet-50 on ImageNet with weight decay: the baseline of the AWS paper (experimental setting, Table 3). SGD from
# 0.1, decay 1e-4 on everything but biases, 100 epochs, 256 images per update. The paper has 32 images on each of 8
# GPUs, each with its own batch statistics: --cfg-options train_dataloader.batch_size=32 auto_scale_lr.written_for=0
_base_ = [
    "../_base_/models/resnet50_imagenet.py",
    "../_base_/datasets/imagenet.py",
    "../_base_/schedules/imagenet_100e.py",
    "../_base_/runtimes/classification.py",
]

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    type="OptimWrapper",
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WD"),  # decays weights and gammas: the paper takes decay off biases
    optimizer=dict(type="SGD", lr=0.1, momentum=0.9, weight_decay=1e-4),
)
# All numbers assume this many images per update and per iteration. On several GPUs: docs/multi_gpu.md
auto_scale_lr = dict(enable=False, base_batch_size=256, written_for=256)
