# DeepLabv3 on VOC 2012 with constrained weights (PGD): a scale and a bias per channel, with noise while training, take
# the place of every batch norm. The paper does not try segmentation.
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
