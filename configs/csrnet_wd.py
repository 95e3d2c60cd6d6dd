# CSRNet on UCF-QNRF with weight decay: the WRS paper's baseline (section VI-C.3), in its protocol. It
# reports MAE 103.8 and RMSE 176.3 on the test set. The optimizer, which it does not name, is Adam here,
# that of the Bayesian loss's own training.
_base_ = [
    "_base_/models/csrnet.py",
    "_base_/datasets/qnrf_crowd.py",
    "_base_/schedules/csrnet_300e.py",
    "_base_/regularizers/wd.py",
    "_base_/runtimes/crowd.py",
]
optim_wrapper = dict(optimizer=dict(type="Adam", lr=1e-4, weight_decay=1e-4))
