# CSRNet with constrained weights on the drawn crowds, from random weights. At the rate of the others, 1e-3,
# it hardly learns: there is no norm that makes up for a step too far.
_base_ = [
    "../_base_/models/mini_csrnet.py",
    "../_base_/datasets/mini_crowd.py",
    "../_base_/schedules/mini_csrnet.py",
    "../_base_/regularizers/pgd.py",
    "../_base_/runtimes/mini_crowd.py",
]
optim_wrapper = dict(optimizer=dict(type="Adam", lr=2e-4, weight_decay=1e-4))
model = dict(
    backbone=dict(norm_cfg=dict(type="NormRegScaleBias", sigma=0.1)),
)
