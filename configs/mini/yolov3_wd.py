# YOLOv3 with weight decay on the drawn set of `normreg make-mini-data detection`, from random weights.
_base_ = [
    "../_base_/models/mini_yolov3_d53.py",
    "../_base_/datasets/mini_detection.py",
    "../_base_/schedules/mini_yolov3.py",
    "../_base_/runtimes/mini_detection.py",
]

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    type="OptimWrapper",
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WD"),  # on kernels and gammas, as in the paper
    optimizer=dict(type="SGD", lr=4e-3, momentum=0.9, weight_decay=5e-4),
    clip_grad=dict(max_norm=35, norm_type=2),
)
work_dir = "work_dirs/mini/yolov3_wd"  # configs/yolov3_wd.py writes to work_dirs/yolov3_wd
