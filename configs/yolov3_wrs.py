# YOLOv3 on COCO 2017 with weight rescaling (WRS), in the protocol of yolov3_wd.py. The paper gives no interval for
# YOLOv3; 10 is its value for segmentation. It counts parameter updates: --cfg-options
# optim_wrapper.regularizer.interval=20
_base_ = "./yolov3_wd.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WRS", interval=10),
)
