# CSRNet with weight decay on MBM, as small as one CPU core can train, from random weights.
_base_ = [
    "../_base_/models/small_csrnet.py",
    "../_base_/datasets/mbm.py",
    "../_base_/schedules/small_csrnet.py",
    "../_base_/runtimes/small_crowd.py",
]

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    type="OptimWrapper",
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WD"),  # on kernels and gammas, as in the paper
    optimizer=dict(type="Adam", lr=1e-3, weight_decay=1e-4),
)
