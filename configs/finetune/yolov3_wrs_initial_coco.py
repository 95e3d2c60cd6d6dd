# Fine-tune YOLOv3 on COCO with weight rescaling (WRS) to the norm that each filter has in the checkpoint:
# the rate of weight decay carries over.
_base_ = "./yolov3_wd_coco.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WRS", interval=10, radius="initial"),
)
