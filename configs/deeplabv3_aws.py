# DeepLabv3 on VOC 2012 with adaptive weight shrink (AWS): every convolution that a norm follows computes with a
# standardized weight (WS), as in the AWS paper, which does not try segmentation. Protocol: see deeplabv3_wd.py. alpha is
# that paper's for SGD at rate 0.1; under Adam it found 1e-5 to 1e-1 nearly alike (its Table 2), and at a rate of 1e-4 a
# shrink of lr * alpha * std is next to nothing.
#
# The ImageNet weights load under their own names, and the standardization takes their means away; the norms learn the new
# scale within the first updates. To begin from a trained BN net instead: tools/checkpoints/convert_checkpoint.py --to ws.
_base_ = [
    "_base_/models/deeplabv3_r101.py",
    "_base_/datasets/voc12aug.py",
    "_base_/schedules/deeplabv3_52e.py",
    "_base_/regularizers/aws.py",
    "_base_/runtimes/segmentation.py",
]
optim_wrapper = dict(optimizer=dict(type="AdamW", lr=1e-4, weight_decay=2e-4))
auto_scale_lr = dict(enable=False, base_batch_size=10)
weight_standardized = dict(type="NormRegWSConv2d")
model = dict(
    backbone=dict(conv_cfg=weight_standardized),
    decode_head=dict(conv_cfg=weight_standardized),
)
