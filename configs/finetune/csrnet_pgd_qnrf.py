# Fine-tune CSRNet on UCF-QNRF with filters on a sphere (PGD) and scale-bias layers instead of batch norm. The checkpoint is
# folded into them. Unlike in the paper filters are not centred, because that would change the pretrained function.
_base_ = "./csrnet_wd_qnrf.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="PGD", center=False),
    paramwise_cfg=dict(flat_decay_mult=0.0),  # no weight decay on scales and biases (section 4.1.1)
)
model = dict(backbone=dict(norm_cfg=dict(type="NormRegScaleBias")))
