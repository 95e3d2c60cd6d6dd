# DeepLabv3 on VOC 2012 with constrained weights (PGD): a scale and a bias per channel, with noise while training, take
# the place of every batch norm. The paper does not try segmentation.
#
# Weight decay stays the task's 2e-4. The paper's are for SGD: 1e-3, and 5e-3 for WideResNet, at rates of 0.1 and 0.2. On
# constrained filters decay changes the learning rate and nothing else, by 1 / (1 - lr * decay) (eq. 12). With AdamW at
# 1e-4 that is less than 1e-6 for each of these values.
#
# ResNet is residual, so the noise grows with depth up to sigma (eq. 8). The paper tries 0.2 to 1.0. The ImageNet
# weights come from a net with batch norm. PGD keeps the directions of the filters and loses the statistics of batch
# norm. To keep these too, convert a checkpoint of the whole net (deeplabv3_wd.py), and begin with it by load_from:
# tools/checkpoints/convert_checkpoint.py --to pgd
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
custom_hooks = [
    dict(type="NormRegLinearNoiseHook", sigma=0.4),
    dict(type="NormRegZeroScaleHook", names=["*.layer*.bn3"]),  # each residual branch begins at zero
]
