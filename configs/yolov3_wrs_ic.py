# YOLOv3 on COCO 2017 with WRS(IC), the variant of the WRS paper with one norm for each kernel position. It normalizes
# over the input channels at each position, so a 3x3 filter ends at norm 3. The paper does not try it on detection.
_base_ = "./yolov3_wd.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WRS", interval=10, per="position", decay_on="norm_layers"),
)
