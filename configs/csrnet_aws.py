# CSRNet on UCF-QNRF with adaptive weight shrink on weight-standardized convolutions. The AWS paper
# does not try counting; its alpha for ImageNet goes with SGD and a rate of 0.1.
_base_ = [
    "_base_/models/csrnet.py",
    "_base_/datasets/qnrf_crowd.py",
    "_base_/schedules/csrnet_300e.py",
    "_base_/regularizers/aws.py",
    "_base_/runtimes/crowd.py",
]
optim_wrapper = dict(optimizer=dict(type="Adam", lr=1e-4, weight_decay=1e-4))
model = dict(backbone=dict(conv_cfg=dict(type="NormRegWSConv2d")))
