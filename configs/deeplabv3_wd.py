# DeepLabv3 on VOC 2012 with weight decay: the baseline, in the protocol of the WRS paper (section VI-C): ResNet-101 from
# ImageNet at output stride 16, 52 epochs in batches of 10, AdamW from 1e-4 to 1e-6 on a polynomial, weight decay 2e-4.
_base_ = [
    "_base_/models/deeplabv3_r101.py",
    "_base_/datasets/voc12aug.py",
    "_base_/schedules/deeplabv3_52e.py",
    "_base_/runtimes/segmentation.py",
]

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    type="OptimWrapper",
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WD"),  # on kernels and gammas, as in the paper
    optimizer=dict(type="AdamW", lr=1e-4, weight_decay=2e-4),
)
# All numbers assume this many images per update and per iteration. On several GPUs: docs/multi_gpu.md
auto_scale_lr = dict(enable=False, base_batch_size=10, written_for=10)
