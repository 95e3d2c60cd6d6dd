# Twelve epochs on a cosine, for fine-tuning.
_base_ = "./cosine_100e.py"

train_cfg = dict(max_epochs=12)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=500),
    dict(type="CosineAnnealingLR", T_max=12, by_epoch=True, begin=0, end=12, convert_to_iter_based=True),
]
