# Fine-tune YOLOv3 on COCO with adaptive weight shrink (AWS). Unlike in the paper the convolutions are plain, because
# weight standardization would change the pretrained function. At norm 1, alpha shrinks as a weight decay of 5e-4 does.
_base_ = "./yolov3_wd_coco.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="AWS", alpha=5e-4),
    paramwise_cfg=dict(bias_decay_mult=0.0),  # no weight decay on biases and betas (experimental setting)
)
