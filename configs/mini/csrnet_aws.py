# CSRNet with adaptive weight shrink on the drawn crowds, from random weights.
_base_ = [
    "../_base_/models/mini_csrnet.py",
    "../_base_/datasets/mini_crowd.py",
    "../_base_/schedules/mini_csrnet.py",
    "../_base_/regularizers/aws.py",
    "../_base_/runtimes/mini_crowd.py",
]
optim_wrapper = dict(optimizer=dict(type="Adam", lr=1e-3, weight_decay=1e-4))
model = dict(backbone=dict(conv_cfg=dict(type="NormRegWSConv2d")))
