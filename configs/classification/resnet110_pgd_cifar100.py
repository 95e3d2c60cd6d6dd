# ResNet-110 on CIFAR-100 with constrained weights (PGD): filters of mean 0 and norm sqrt(2), and scale, bias and
# noise instead of batch norm (constrained paper, Algorithm 1; section 4.1, Table 1). The noise grows with depth up to
# sigma (eq. 8); the paper gives no value for this net.
_base_ = "./resnet110_wd_cifar100.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="PGD"),
    optimizer=dict(lr=0.2, weight_decay=1e-3),
    paramwise_cfg=dict(flat_decay_mult=0.0),  # no weight decay on scales and biases (section 4.1.1)
)
model = dict(backbone=dict(norm_cfg=dict(type="NormRegScaleBias")))
custom_hooks = [
    dict(type="NormRegLinearNoiseHook", sigma=1.0),
    dict(type="NormRegZeroScaleHook", names=["*.bn2"]),  # each residual branch begins at zero
]
