_base_ = "./crowd.py"

default_hooks = dict(checkpoint=dict(interval=-1, max_keep_ckpts=1))
randomness = dict(seed=0)
