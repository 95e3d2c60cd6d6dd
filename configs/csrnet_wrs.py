# CSRNet on UCF-QNRF with weight rescaling after every update (tau 1). The paper reports MAE 96.5 and
# RMSE 173.8 on the test set. The sixteen 3x3 convolutions are rescaled; the output keeps weight decay.
_base_ = [
    "_base_/models/csrnet.py",
    "_base_/datasets/qnrf_crowd.py",
    "_base_/schedules/csrnet_300e.py",
    "_base_/regularizers/wrs.py",
    "_base_/runtimes/crowd.py",
]
optim_wrapper = dict(
    optimizer=dict(type="Adam", lr=1e-4, weight_decay=1e-4),
    regularizer=dict(interval=1),
)
