# CSRNet on ShanghaiTech part A with weight rescaling after every update. Not in the paper.
_base_ = [
    "_base_/models/csrnet.py",
    "_base_/datasets/shanghaitech_crowd.py",
    "_base_/schedules/csrnet_300e.py",
    "_base_/regularizers/wrs.py",
    "_base_/runtimes/crowd.py",
]
optim_wrapper = dict(
    optimizer=dict(type="Adam", lr=1e-4, weight_decay=1e-4),
    regularizer=dict(interval=1),
)
