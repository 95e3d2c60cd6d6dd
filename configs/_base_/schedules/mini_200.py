# 200 updates at batch 8: four epochs of the drawn set, some five minutes on two CPU cores.
train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=4, val_interval=4)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=20),
    dict(
        type="CosineAnnealingLR",
        T_max=4,
        by_epoch=True,
        begin=0,
        end=4,
        convert_to_iter_based=True,
    ),
]
