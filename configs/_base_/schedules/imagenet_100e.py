# The AWS paper's 100 epochs on ImageNet, the rate divided by 10 every 30. The constrained paper divides it in the same
# epochs and does not say where it ends.
train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=100, val_interval=1)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
param_scheduler = [dict(type="MultiStepLR", milestones=[30, 60, 90], gamma=0.1, by_epoch=True)]
