# The same DeepLabv3 with all its 113 convolutions, for the drawn set: four classes, and no ImageNet weights.
_base_ = "./deeplabv3_r101.py"

model = dict(
    data_preprocessor=dict(size=(96, 96)),
    backbone=dict(init_cfg=None),
    decode_head=dict(num_classes=4),
)
