# WideResNet-28-10 on CIFAR-10 with constrained weights (PGD): filters of mean 0 and norm sqrt(2), and scale, bias and
# noise instead of batch norm (constrained paper, Algorithm 1; section 4.1, Table 1). The noise grows with depth up to
# sigma (eq. 8), the best for CIFAR-10 in Table 4. Small batches (Table 2), with the rate
# divided as the paper does: --cfg-options train_dataloader.batch_size=4 optim_wrapper.optimizer.lr=0.00625
# auto_scale_lr.base_batch_size=4 auto_scale_lr.written_for=4
_base_ = "./wrn28_10_cosine_wd_cifar10.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="PGD"),
    optimizer=dict(lr=0.2, weight_decay=5e-3),
    paramwise_cfg=dict(flat_decay_mult=0.0),  # no weight decay on scales and biases (section 4.1.1)
)
model = dict(backbone=dict(norm_cfg=dict(type="NormRegScaleBias")))
custom_hooks = [
    dict(type="NormRegLinearNoiseHook", sigma=1.0),
    dict(type="NormRegZeroScaleHook", names=["*.bn2"]),  # each residual branch begins at zero
]
