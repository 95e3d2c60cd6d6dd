# YOLOv3 with weight rescaling (WRS) on BCCD, small, from random weights.
_base_ = "./yolov3_wd_bccd.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WRS", interval=10),
)
