# DeepLabv3 with adaptive weight shrink on the drawn set, from scratch.
_base_ = [
    "../_base_/models/mini_deeplabv3_r101.py",
    "../_base_/datasets/mini_segmentation.py",
    "../_base_/schedules/mini_segmentation.py",
    "../_base_/regularizers/aws.py",
    "../_base_/runtimes/mini_segmentation.py",
]
optim_wrapper = dict(optimizer=dict(type="AdamW", lr=1e-3, weight_decay=2e-4))
weight_standardized = dict(type="NormRegWSConv2d")
model = dict(
    backbone=dict(conv_cfg=weight_standardized),
    decode_head=dict(conv_cfg=weight_standardized),
)
work_dir = "work_dirs/mini/deeplabv3_aws"  # configs/deeplabv3_aws.py writes to work_dirs/deeplabv3_aws
