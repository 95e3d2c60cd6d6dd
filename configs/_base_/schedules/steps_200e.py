# ResNet-18 in the WRS paper (section III-B): 200 epochs, the rate divided by 10 in the 60th, the 120th and the 160th.
train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=200, val_interval=1)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
param_scheduler = [dict(type="MultiStepLR", milestones=[60, 120, 160], gamma=0.1, by_epoch=True)]
