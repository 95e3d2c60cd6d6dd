# From random weights in some minutes on two CPU cores: a higher rate than for ImageNet's.
_base_ = "./csrnet_300e.py"

optim_wrapper = dict(optimizer=dict(type="Adam", lr=1e-3, weight_decay=1e-4))
train_cfg = dict(max_epochs=20, val_interval=2)
