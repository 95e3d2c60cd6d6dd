# DeepLabv3 on VOC 2012 with constrained weights (PGD): scale, bias and noise instead of batch norm. The ImageNet network
# is folded into these layers; the log says how much centring takes from it. Without: finetune/deeplabv3_pgd_voc.py
_base_ = "./deeplabv3_wd.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="PGD"),
    paramwise_cfg=dict(flat_decay_mult=0.0),  # no weight decay on scales and biases (section 4.1.1)
)
scale_bias = dict(type="NormRegScaleBias")
model = dict(
    backbone=dict(norm_cfg=scale_bias, init_cfg=dict(type="NormRegPretrained", center=True)),
    decode_head=dict(norm_cfg=scale_bias),
)
custom_hooks = [dict(type="NormRegLinearNoiseHook", sigma=0.4)]
