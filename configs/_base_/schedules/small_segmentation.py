# 240 updates at batch 4: two and a half epochs of CamVid. Only the last weights are validated.
_base_ = "./mini_segmentation.py"

train_cfg = dict(val_interval=240)
