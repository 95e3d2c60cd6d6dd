# The same DeepLabv3 on a ResNet-18 of a quarter of its width, for the 11 classes of CamVid in images of 192 x 144 px.
# One CPU core can train it. All weights are random at the start.
_base_ = "./deeplabv3_r101.py"

model = dict(
    data_preprocessor=dict(size=(144, 192)),
    backbone=dict(depth=18, base_channels=16, stem_channels=16, contract_dilation=True, init_cfg=None),
    decode_head=dict(in_channels=128, channels=64, num_classes=11),
)
