# YOLOv3 with constrained weights (PGD) and scale-bias layers instead of batch norm, on the drawn set, from random
# weights.
_base_ = "./yolov3_wd.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="PGD"),
    optimizer=dict(weight_decay=1e-3),  # the paper's for ResNet (section 4.1.1)
    paramwise_cfg=dict(flat_decay_mult=0.0),  # no weight decay on scales and biases (section 4.1.1)
)
scale_bias = dict(type="NormRegScaleBias")
model = dict(
    backbone=dict(norm_cfg=scale_bias),
    neck=dict(norm_cfg=scale_bias),
    bbox_head=dict(norm_cfg=scale_bias),
)
custom_hooks = [
    dict(type="NormRegZeroScaleHook", names=["*.conv_res_block*.conv2.bn"]),  # each residual branch begins at zero
    dict(type="NormRegLinearNoiseHook", sigma=0.4),
]
work_dir = "work_dirs/mini/yolov3_pgd"  # configs/yolov3_pgd.py writes to work_dirs/yolov3_pgd
