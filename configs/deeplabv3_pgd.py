# DeepLabv3 on VOC 2012 with constrained weights (PGD): a scale and a bias per channel, with noise while training, in place
# of every batch norm. The paper does not try segmentation. Protocol: see deeplabv3_wd.py.
#
# ResNet is residual, so the noise grows with depth to sigma (eq. 8); the paper tries 0.2 to 1.0. The ImageNet weights come
# from a net with batch norm: their directions are kept, what its norms had measured is not. tools/checkpoints/convert_checkpoint.py
# --to pgd keeps that too, for a checkpoint of the whole net (deeplabv3_wd.py); begin with it by load_from.
_base_ = [
    "_base_/models/deeplabv3_r101.py",
    "_base_/datasets/voc12aug.py",
    "_base_/schedules/deeplabv3_52e.py",
    "_base_/regularizers/pgd.py",
    "_base_/runtimes/segmentation.py",
]
optim_wrapper = dict(optimizer=dict(type="AdamW", lr=1e-4, weight_decay=2e-4))
auto_scale_lr = dict(enable=False, base_batch_size=10)
scale_bias = dict(type="NormRegScaleBias")
model = dict(
    backbone=dict(norm_cfg=scale_bias),
    decode_head=dict(norm_cfg=scale_bias),
)
custom_hooks = [
    dict(type="NormRegLinearNoiseHook", sigma=0.4),
    dict(type="NormRegZeroScaleHook", names=["*.layer*.bn3"]),  # each residual branch begins at zero
]
