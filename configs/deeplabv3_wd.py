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
# All numbers assume 10 images per update and per iteration (docs/multi_gpu.md). They do not split over 4 or 8 GPUs. So there
# is a variant, with --total-batch 16: the same 52 epochs, and AdamW's rates and decay times sqrt(1.6), which keeps the
# noise of its steps (Malladi et al. 2022).
auto_scale_lr = dict(
    enable=False,
    base_batch_size=10,
    written_for=10,
    variant={
        "train_dataloader.batch_size": 16,
        "optim_wrapper.optimizer.lr": 1.265e-4,
        "optim_wrapper.optimizer.weight_decay": 2.53e-4,
        "train_cfg.max_iters": 34391,
        "train_cfg.val_interval": 1323,
        "default_hooks.checkpoint.interval": 1250,
        "param_scheduler.0.end": 34391,
        "param_scheduler.0.eta_min": 1.265e-6,
    },
)
