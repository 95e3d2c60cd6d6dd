# YOLOv3 on COCO 2017 with constrained weights (PGD): after every update each filter has mean 0 and norm sqrt(2)
# (Algorithm 1 of the constrained paper, which does not try detection). A scale and a bias per channel, with noise while
# training, take the place of every batch norm.
#
# The ImageNet weights come from a net with batch norm. PGD keeps the directions of the filters; it loses their norms
# and the statistics of batch norm. So each of the 23 residual branches begins at zero: without norm layers they would
# multiply the activations. Darknet is residual, so the noise grows with depth up to sigma (eq. 8). The paper tries 0.2
# to 1.0. Weight decay is the paper's for ResNet, 1e-3 (section 4.1.1), times 8: see yolov3_wd.py. On constrained
# filters it changes the learning rate and nothing else (eq. 12).
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
    backbone=dict(norm_cfg=scale_bias),
    neck=dict(norm_cfg=scale_bias),
    bbox_head=dict(norm_cfg=scale_bias),
)
custom_hooks = [
    dict(type="NormRegLinearNoiseHook", sigma=0.4),
    dict(type="NormRegZeroScaleHook", names=["*.conv_res_block*.conv2.bn"]),
]
