# CSRNet with constrained weights (PGD) and scale-bias layers instead of batch norm, on MBM, small, from random weights.
_base_ = "./csrnet_wd_mbm.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="PGD"),
    paramwise_cfg=dict(flat_decay_mult=0.0),  # no weight decay on scales and biases (section 4.1.1)
    optimizer=dict(lr=2e-4),  # no norm layer corrects a step that is too large
)
model = dict(backbone=dict(norm_cfg=dict(type="NormRegScaleBias", sigma=0.1)))
