# 200 updates at batch 8: four and a half epochs of CamVid.
_base_ = "./mini_segmentation.py"

train_cfg = dict(max_iters=200, val_interval=100)
param_scheduler = [dict(type="PolyLR", power=0.9, eta_min=1e-6, begin=0, end=200, by_epoch=False)]
