# 250 updates at batch 8: five epochs of the drawn set. An update takes 1.45 s on two free CPU cores.
train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=5, val_interval=5)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=20),
    dict(
        type="CosineAnnealingLR",
        T_max=5,
        by_epoch=True,
        begin=0,
        end=5,
        convert_to_iter_based=True,
    ),
]
