_base_ = "./detection.py"

default_hooks = dict(
    logger=dict(interval=10),
    checkpoint=dict(interval=5, max_keep_ckpts=3),  # each is half a gigabyte
    monitor=dict(interval=5),
    visualization=dict(draw=True, interval=2),  # pictures of detections, in the work dir
)
log_processor = dict(window_size=10)
randomness = dict(seed=0)
