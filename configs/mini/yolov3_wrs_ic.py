# YOLOv3 with WRS(IC), one norm per kernel position, on the drawn set, from random weights.
_base_ = "./yolov3_wd.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WRS", interval=10, per="position"),
)
work_dir = "work_dirs/mini/yolov3_wrs_ic"  # configs/yolov3_wrs_ic.py writes to work_dirs/yolov3_wrs_ic
