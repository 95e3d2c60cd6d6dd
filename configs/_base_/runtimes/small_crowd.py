# As for the drawn sets, without pictures while training.
_base_ = "./mini_crowd.py"

default_hooks = dict(monitor=dict(interval=10), visualization=dict(draw=False))
