# 240 updates at batch 4, on a cosine. The running statistics of batch norm are right only when the weights change
# little, so the rate falls to zero. Before that, counts are wrong by a factor that changes with each epoch. So every
# epoch is validated.
train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=10, val_interval=1)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
param_scheduler = [
    dict(type="CosineAnnealingLR", T_max=10, by_epoch=True, begin=0, end=10, convert_to_iter_based=True),
]
