# DeepLabv3 with constrained weights on the drawn set, from scratch.
_base_ = [
    "../_base_/models/mini_deeplabv3_r101.py",
    "../_base_/datasets/mini_segmentation.py",
    "../_base_/schedules/mini_segmentation.py",
    "../_base_/regularizers/pgd.py",
    "../_base_/runtimes/mini_segmentation.py",
]
optim_wrapper = dict(optimizer=dict(type="AdamW", lr=1e-3, weight_decay=2e-4))
scale_bias = dict(type="NormRegScaleBias")
model = dict(
    backbone=dict(norm_cfg=scale_bias),
    decode_head=dict(norm_cfg=scale_bias),
)
custom_hooks = [
    dict(type="NormRegLinearNoiseHook", sigma=0.4),
    dict(type="NormLogHook", interval=5),
]
work_dir = "work_dirs/mini/deeplabv3_pgd"  # configs/deeplabv3_pgd.py writes to work_dirs/deeplabv3_pgd
