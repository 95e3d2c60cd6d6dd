# CSRNet on UCF-QNRF with weight decay: the baseline of the WRS paper (section VI-C.3: MAE 103.8, RMSE 176.3). The paper
# does not name the optimizer; Adam is that of the paper that introduces the Bayesian loss.
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
    regularizer=dict(type="WD"),  # on kernels and gammas, as in the paper
    optimizer=dict(type="Adam", lr=1e-4, weight_decay=1e-4),
)
# All numbers assume this many images per update and per iteration. On several GPUs: docs/multi_gpu.md
auto_scale_lr = dict(enable=False, base_batch_size=32, written_for=32)
