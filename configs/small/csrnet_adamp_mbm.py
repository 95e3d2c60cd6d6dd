# CSRNet with AdamP on MBM, small, from random weights.
_base_ = "./csrnet_wd_mbm.py"

optim_wrapper = dict(
    optimizer=dict(type="NormRegAdamP", lr=1e-3, weight_decay=1e-4),
)
