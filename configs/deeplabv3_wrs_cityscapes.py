# deeplabv3_wrs.py on Cityscapes. The WRS paper shows it in one picture (Fig. 8, mIoU over the strength of each method) and
# gives no protocol, so this one is ours: model, optimizer and rate as on VOC, with mmseg's crops of 512 x 1024, batch 8 and
# 40,000 updates.
_base_ = [
    "_base_/models/deeplabv3_r101.py",
    "_base_/datasets/cityscapes.py",
    "_base_/schedules/deeplabv3_40k.py",
    "_base_/regularizers/wrs.py",
    "_base_/runtimes/segmentation.py",
]
optim_wrapper = dict(
    optimizer=dict(type="AdamW", lr=1e-4, weight_decay=2e-4),
    regularizer=dict(output_layers=("decode_head.conv_seg",)),
)
auto_scale_lr = dict(enable=False, base_batch_size=8)
model = dict(data_preprocessor=dict(size=(512, 1024)), decode_head=dict(num_classes=19))
