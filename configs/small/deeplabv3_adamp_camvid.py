# DeepLabv3 with AdamP on CamVid, small, from random weights.
_base_ = "./deeplabv3_wd_camvid.py"

optim_wrapper = dict(
    optimizer=dict(type="NormRegAdamP", lr=1e-3, weight_decay=2e-4),
)
