# CSRNet on UCF-QNRF with weight decay: the baseline of the WRS paper (section VI-C.3), in its protocol. The paper
# reports MAE 103.8 and RMSE 176.3 on the test set. It does not name the optimizer. This config takes Adam, the
# optimizer of the paper that introduces the Bayesian loss.
_base_ = [
    "_base_/models/csrnet.py",
    "_base_/datasets/qnrf_crowd.py",
    "_base_/schedules/csrnet_300e.py",
    "_base_/runtimes/crowd.py",
]

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    type="OptimWrapper",
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WD"),  # decays what the paper's baseline decays
    optimizer=dict(type="Adam", lr=1e-4, weight_decay=1e-4),
)
# All numbers are written for this many images in an update and in an iteration. For several GPUs: docs/multi_gpu.md
auto_scale_lr = dict(enable=False, base_batch_size=32, written_for=32)
