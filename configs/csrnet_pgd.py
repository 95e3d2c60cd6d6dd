# CSRNet on UCF-QNRF with constrained weights (PGD): scale, bias and noise instead of batch norm. VGG16-BN is folded into
# these layers; the log says how much centring takes from it. Weight decay stays the task's 1e-4.
_base_ = "./csrnet_wd.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="PGD"),
    paramwise_cfg=dict(flat_decay_mult=0.0),  # no weight decay on scales and biases (section 4.1.1)
)
model = dict(
    backbone=dict(norm_cfg=dict(type="NormRegScaleBias", sigma=0.1)),
    init_cfg=dict(center=True),
)
