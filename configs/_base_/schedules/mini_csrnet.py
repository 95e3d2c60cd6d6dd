_base_ = "./csrnet_300e.py"

train_cfg = dict(max_epochs=20, val_interval=2)
