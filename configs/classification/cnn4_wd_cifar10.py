# Four convolutions on CIFAR-10 with weight decay, in the protocol of the L2 paper (section 6): batches of 128, 100
# epochs, the rate divided by 10 after 50 and 80, no weight decay on gammas and betas. The paper's figures have rate and
# decay on their axes; these are in the middle.
_base_ = [
    "../_base_/models/cnn4.py",
    "../_base_/datasets/cifar10_crop_flip.py",
    "../_base_/schedules/steps_100e.py",
    "../_base_/runtimes/classification.py",
]

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    type="OptimWrapper",
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WD"),
    paramwise_cfg=dict(norm_decay_mult=0.0),
    optimizer=dict(type="SGD", lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4),
)
# All numbers assume this many images per update and per iteration. On several GPUs: docs/multi_gpu.md
auto_scale_lr = dict(enable=False, base_batch_size=128, written_for=128)
param_scheduler = [dict(type="MultiStepLR", milestones=[50, 80], gamma=0.1, by_epoch=True)]
