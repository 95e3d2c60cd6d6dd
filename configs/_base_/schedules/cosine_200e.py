# The constrained paper on CIFAR (section 4.1.1): 200 epochs on a cosine.
train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=200, val_interval=1)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
param_scheduler = [dict(type="CosineAnnealingLR", T_max=200, by_epoch=True, begin=0, end=200, convert_to_iter_based=True)]
