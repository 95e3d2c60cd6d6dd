# YOLOv3 with weight rescaling (WRS) on the drawn set, from random weights. mAP@0.5: 0.97 to 0.99.
_base_ = "./yolov3_wd.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WRS", interval=10),
    optimizer=dict(lr=6e-3),  # chosen for WRS on this set
)
work_dir = "work_dirs/mini/yolov3_wrs"  # configs/yolov3_wrs.py writes to work_dirs/yolov3_wrs
