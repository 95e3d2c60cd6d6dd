_base_ = "./segmentation.py"

default_hooks = dict(
    logger=dict(interval=10),
    checkpoint=dict(interval=120, max_keep_ckpts=3),
    monitor=dict(interval=5),
    visualization=dict(draw=True, interval=2),  # the true mask and the predicted one, in the work dir
)
log_processor = dict(window_size=10)
randomness = dict(seed=0)
