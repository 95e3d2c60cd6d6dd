# Fine-tune DeepLabv3 on VOC with weight rescaling (WRS) to the norm that each filter has in the checkpoint:
# the rate of weight decay carries over.
_base_ = "./deeplabv3_wd_voc.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WRS", interval=10, radius="initial"),
)
