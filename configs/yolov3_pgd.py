# YOLOv3 on COCO 2017 with constrained weights (PGD): each filter has mean 0 and norm sqrt(2), and scale, bias and noise
# replace batch norm. Weight decay is the paper's for ResNet, 1e-3, times 8 (see yolov3_wd.py); the noise grows with
# depth (eq. 8). The ImageNet network is folded into these layers; the log says how much centring takes from it.
_base_ = "./yolov3_wd.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="PGD"),
    optimizer=dict(weight_decay=8 * 1e-3),
    paramwise_cfg=dict(flat_decay_mult=0.0),  # no weight decay on scales and biases (section 4.1.1)
)
scale_bias = dict(type="NormRegScaleBias")
model = dict(
    backbone=dict(norm_cfg=scale_bias, init_cfg=dict(type="NormRegPretrained", center=True)),
    neck=dict(norm_cfg=scale_bias),
    bbox_head=dict(norm_cfg=scale_bias),
)
custom_hooks = [dict(type="NormRegLinearNoiseHook", sigma=0.4)]
