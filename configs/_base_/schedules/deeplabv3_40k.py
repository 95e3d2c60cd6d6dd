# 40,000 updates, with the rates of deeplabv3_52e.py.
_base_ = "./deeplabv3_52e.py"

train_cfg = dict(max_iters=40000, val_interval=4000)
param_scheduler = [dict(type="PolyLR", power=0.9, eta_min=1e-6, begin=0, end=40000, by_epoch=False)]
