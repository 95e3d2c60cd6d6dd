# 240 updates at batch 4, on a cosine: batch norm's running statistics are right only once the weights
# come to rest, and 240 updates leave no time for that at a constant rate. Until then counts are off by a factor that
# changes from epoch to epoch, so each is validated.
train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=10, val_interval=1)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
param_scheduler = [
    dict(type="CosineAnnealingLR", T_max=10, by_epoch=True, begin=0, end=10, convert_to_iter_based=True),
]
