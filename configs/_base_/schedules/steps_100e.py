# VGG16 in the WRS paper (section III-B): 100 epochs, the rate divided by 10 in the 30th and the 60th.
train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=100, val_interval=1)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
param_scheduler = [dict(type="MultiStepLR", milestones=[30, 60], gamma=0.1, by_epoch=True)]
