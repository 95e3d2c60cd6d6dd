# 10 epochs of BCCD at batch 8 are 260 updates.
train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=10, val_interval=5)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=20),
    dict(type="CosineAnnealingLR", T_max=10, by_epoch=True, begin=0, end=10, convert_to_iter_based=True),
]
