# The paper's 300 epochs at one learning rate.
train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=300, val_interval=5)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
param_scheduler = []
