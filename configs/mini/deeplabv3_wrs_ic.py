# DeepLabv3 with WRS(IC) on the drawn set, from scratch.
_base_ = [
    "../_base_/models/mini_deeplabv3_r101.py",
    "../_base_/datasets/mini_segmentation.py",
    "../_base_/schedules/mini_segmentation.py",
    "../_base_/regularizers/wrs_ic.py",
    "../_base_/runtimes/mini_segmentation.py",
]
optim_wrapper = dict(
    optimizer=dict(type="AdamW", lr=1e-3, weight_decay=2e-4),
    regularizer=dict(output_layers=("decode_head.conv_seg",)),
)
work_dir = "work_dirs/mini/deeplabv3_wrs_ic"  # configs/deeplabv3_wrs_ic.py writes to work_dirs/deeplabv3_wrs_ic
