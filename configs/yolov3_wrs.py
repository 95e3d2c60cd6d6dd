# YOLOv3 on COCO 2017 with weight rescaling (WRS). The protocol is that of yolov3_wd.py. Weight decay acts on the norm
# layers' own parameters only, as in the paper's Algorithm 1 (line 7). Without `decay_on`, WRS leaves it on everything
# that is not rescaled, so that it changes as little as possible of a user's own config.
#
# The paper gives no interval for YOLOv3 and tries 10, 20, ... 50 elsewhere; 10 is its value for segmentation. The
# interval counts parameter updates, not batches. To try another: --cfg-options optim_wrapper.regularizer.interval=20
_base_ = "./yolov3_wd.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WRS", interval=10, decay_on="norm_layers"),
)
