_base_ = "./classification.py"

default_hooks = dict(
    logger=dict(interval=16),
    checkpoint=dict(interval=5, max_keep_ckpts=3),
    monitor=dict(interval=5),
)
log_processor = dict(window_size=16)
randomness = dict(seed=0)
