# 320 updates at batch 25: 20 epochs of the digits, on a cosine.
train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=20, val_interval=5)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
param_scheduler = [dict(type="CosineAnnealingLR", T_max=20, by_epoch=True, begin=0, end=20, convert_to_iter_based=True)]
