# CSRNet with weight decay on the drawn crowds of `normreg make-mini-data crowd`, from random weights.
_base_ = [
    "../_base_/models/mini_csrnet.py",
    "../_base_/datasets/mini_crowd.py",
    "../_base_/schedules/mini_csrnet.py",
    "../_base_/runtimes/mini_crowd.py",
]

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    type="OptimWrapper",
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WD"),  # on kernels and gammas, as in the paper
    optimizer=dict(type="Adam", lr=1e-3, weight_decay=1e-4),
)
