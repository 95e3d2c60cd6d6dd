# YOLOv3 with weight decay on BCCD, as small as one CPU core can train, from random weights.
_base_ = [
    "../_base_/models/small_yolov3_r18.py",
    "../_base_/datasets/bccd.py",
    "../_base_/schedules/small_yolov3.py",
    "../_base_/runtimes/small_detection.py",
]

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    type="OptimWrapper",
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WD"),  # on kernels and gammas, as in the paper
    optimizer=dict(type="SGD", lr=4e-3, momentum=0.9, weight_decay=5e-4),
    clip_grad=dict(max_norm=35, norm_type=2),
)
