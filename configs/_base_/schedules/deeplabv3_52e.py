# The paper's 52 epochs: 10,582 images in batches of 10 for 52 epochs are 55,026 updates. The rate falls on a polynomial
# to 1e-6. The paper does not give its power; 0.9 is DeepLabv3's. Validation is every two epochs.
train_cfg = dict(type="IterBasedTrainLoop", max_iters=55026, val_interval=2116)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
param_scheduler = [dict(type="PolyLR", power=0.9, eta_min=1e-6, begin=0, end=55026, by_epoch=False)]
