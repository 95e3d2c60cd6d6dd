# Fine-tune YOLOv3 on VOC with filters on a sphere (PGD) and scale-bias layers instead of batch norm. The checkpoint is
# folded into them. Unlike in the paper filters are not centred, because that would change the pretrained function.
_base_ = "./yolov3_wd_voc.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="PGD", center=False),
    paramwise_cfg=dict(flat_decay_mult=0.0),  # no weight decay on scales and biases (section 4.1.1)
)
scale_bias = dict(type="NormRegScaleBias")
load_from = None
model = dict(
    init_cfg=dict(type="NormRegPretrained", checkpoint=_base_.load_from),
    backbone=dict(norm_cfg=scale_bias),
    neck=dict(norm_cfg=scale_bias),
    bbox_head=dict(norm_cfg=scale_bias),
)
