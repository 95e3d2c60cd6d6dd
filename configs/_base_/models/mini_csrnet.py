# CSRNet from random weights. The loss assumes smaller people.
_base_ = "./csrnet.py"

model = dict(init_cfg=None, loss=dict(sigma=4.0, background_ratio=0.3))
