# YOLOv3 on COCO 2017 with constrained weights (PGD): a scale and a bias per channel, with noise
# while training, in place of every batch norm. The paper does not try detection. Protocol and
# rate: see yolov3_wd.py. The ImageNet weights come from a net with batch norm: their directions
# are kept, their lengths and what the norms had measured are not. So each residual branch begins at
# zero; without norms the 23 of them would multiply the activations.
#
# Darknet is residual, so the noise grows with depth to sigma (eq. 8). The paper tries 0.2 to 1.0.
_base_ = [
    "_base_/models/yolov3_d53.py",
    "_base_/datasets/coco2017_yolov3.py",
    "_base_/schedules/cosine_100e.py",
    "_base_/regularizers/pgd.py",
    "_base_/runtimes/detection.py",
]
optim_wrapper = dict(
    optimizer=dict(type="SGD", lr=0.01 / 8, momentum=0.9, weight_decay=8 * 5e-4),
    clip_grad=dict(max_norm=35, norm_type=2),
)
auto_scale_lr = dict(enable=False, base_batch_size=8)
scale_bias = dict(type="NormRegScaleBias")
model = dict(
    backbone=dict(norm_cfg=scale_bias),
    neck=dict(norm_cfg=scale_bias),
    bbox_head=dict(norm_cfg=scale_bias),
)
custom_hooks = [
    dict(type="NormRegLinearNoiseHook", sigma=0.4),
    dict(type="NormRegZeroScaleHook", names=["*.conv_res_block*.conv2.bn"]),
]
