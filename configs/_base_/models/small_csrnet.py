# CSRNet at a quarter of its width, from random weights. One CPU core can train it.
_base_ = "./mini_csrnet.py"

model = dict(backbone=dict(width=0.25))
