# 10 epochs of 120 crops at batch 4, on a cosine: 300 updates.
_base_ = "./mini_csrnet.py"
