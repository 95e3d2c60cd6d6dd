# yolov3_wrs.py without clipping: see yolov3_wd_noclip.py.
_base_ = "./yolov3_wd_noclip.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WRS", interval=10),
)
