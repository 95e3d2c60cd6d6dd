# DeepLabv3 on Cityscapes with weight decay. The WRS paper shows Cityscapes in Fig. 8 without a protocol: model,
# optimizer and rate are those of deeplabv3_wd.py; crops of 512 x 1024, batch 8 and 40,000 updates are those of mmseg.
_base_ = [
    "_base_/models/deeplabv3_r101.py",
    "_base_/datasets/cityscapes.py",
    "_base_/schedules/deeplabv3_40k.py",
    "_base_/runtimes/segmentation.py",
]

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    type="OptimWrapper",
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WD"),  # on kernels and gammas, as in the paper
    optimizer=dict(type="AdamW", lr=1e-4, weight_decay=2e-4),
)
auto_scale_lr = dict(enable=False, base_batch_size=8, written_for=8)  # docs/multi_gpu.md
model = dict(data_preprocessor=dict(size=(512, 1024)), decode_head=dict(num_classes=19))
