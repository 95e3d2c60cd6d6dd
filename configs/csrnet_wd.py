# CSRNet on UCF-QNRF with weight decay: the WRS paper's baseline (section VI-C.3), in its protocol. It
# reports MAE 103.8 and RMSE 176.3 on the test set.
_base_ = [
    "_base_/models/csrnet.py",
    "_base_/datasets/qnrf_crowd.py",
    "_base_/schedules/csrnet_300e.py",
    "_base_/regularizers/wd.py",
    "_base_/runtimes/crowd.py",
]
