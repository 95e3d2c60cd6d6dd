# DeepLabv3 on VOC 2012 with WRS(IC), the variant of the WRS paper with a norm per kernel position, so that 3x3 filters end
# at norm 3. Protocol and `conv_seg`: see deeplabv3_wrs.py. The paper does not try it on segmentation.
_base_ = [
    "_base_/models/deeplabv3_r101.py",
    "_base_/datasets/voc12aug.py",
    "_base_/schedules/deeplabv3_52e.py",
    "_base_/regularizers/wrs_ic.py",
    "_base_/runtimes/segmentation.py",
]
optim_wrapper = dict(
    optimizer=dict(type="AdamW", lr=1e-4, weight_decay=2e-4),
    regularizer=dict(output_layers=("decode_head.conv_seg",)),
)
auto_scale_lr = dict(enable=False, base_batch_size=10)
