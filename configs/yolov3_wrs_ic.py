# YOLOv3 on COCO 2017 with WRS(IC), one norm per kernel position: a 3x3 filter ends at norm 3. The first rescale
# changes what the ImageNet network computes, and the log says how far filters move; in the paper weights begin at random.
_base_ = "./yolov3_wd.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WRS", interval=10, per="position"),
)
