# ResNet-50 on ImageNet with constrained weights (PGD) and scale-bias layers instead of batch norm (constrained paper,
# section 4.3, Table 6). The paper gives neither decay nor noise for ImageNet: the decay is its own for ResNet on
# CIFAR, the noise its own for point clouds.
_base_ = "./resnet50_wd_imagenet.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="PGD"),
    optimizer=dict(weight_decay=1e-3),
    paramwise_cfg=dict(flat_decay_mult=0.0),  # no weight decay on scales and biases (section 4.1.1)
)
model = dict(backbone=dict(norm_cfg=dict(type="NormRegScaleBias")))
custom_hooks = [
    dict(type="NormRegLinearNoiseHook", sigma=0.4),
    dict(type="NormRegZeroScaleHook", names=["*.layer*.bn3"]),  # each residual branch begins at zero
]
