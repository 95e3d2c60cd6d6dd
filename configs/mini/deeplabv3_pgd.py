# DeepLabv3 with constrained weights (PGD) and scale-bias layers instead of batch norm, on the drawn set, from random
# weights.
_base_ = "./deeplabv3_wd.py"

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
custom_hooks = [dict(type="NormRegLinearNoiseHook", sigma=0.4)]
work_dir = "work_dirs/mini/deeplabv3_pgd"  # configs/deeplabv3_pgd.py writes to work_dirs/deeplabv3_pgd
