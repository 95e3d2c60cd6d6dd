# 300 epochs at one learning rate. The paper does not name its optimizer; Adam is that of the
# Bayesian loss's own training, on which the paper builds.
optim_wrapper = dict(optimizer=dict(type="Adam", lr=1e-4, weight_decay=1e-4))
train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=300, val_interval=5)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
param_scheduler = []
