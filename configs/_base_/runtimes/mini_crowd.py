_base_ = "./crowd.py"

default_hooks = dict(
    checkpoint=dict(interval=-1, save_last=False),
    monitor=dict(interval=5),
    visualization=dict(interval=6),
)
randomness = dict(seed=0)
