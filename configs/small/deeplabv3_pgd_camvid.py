# DeepLabv3 with constrained weights (PGD) and scale-bias layers instead of batch norm, on CamVid, small, from random
# weights.
_base_ = "./deeplabv3_wd_camvid.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="PGD"),
    paramwise_cfg=dict(flat_decay_mult=0.0),  # no weight decay on scales and biases (section 4.1.1)
)
scale_bias = dict(type="NormRegScaleBias")
model = dict(
    backbone=dict(norm_cfg=scale_bias),
    decode_head=dict(norm_cfg=scale_bias),
)
custom_hooks = [
    dict(type="NormRegZeroScaleHook", names=["*.layer*.bn2"]),  # each residual branch begins at zero
    dict(type="NormRegLinearNoiseHook", sigma=0.4),
]
