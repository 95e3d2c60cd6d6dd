# 240 updates at batch 4: six epochs of the drawn set, about five minutes on two CPU cores.
train_cfg = dict(type="IterBasedTrainLoop", max_iters=240, val_interval=120)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
param_scheduler = [dict(type="PolyLR", power=0.9, eta_min=1e-6, begin=0, end=240, by_epoch=False)]
