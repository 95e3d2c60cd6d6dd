# One hundred epochs on a cosine, for fine-tuning.
_base_ = "./csrnet_300e.py"

train_cfg = dict(max_epochs=100)
param_scheduler = [
    dict(type="CosineAnnealingLR", T_max=100, by_epoch=True, begin=0, end=100, convert_to_iter_based=True),
]
