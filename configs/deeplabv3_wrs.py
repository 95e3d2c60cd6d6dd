# DeepLabv3 on VOC 2012 with weight rescaling (WRS) every 10 updates, the paper's interval. The classifier has no norm layer
# behind it and is left alone. To rescale it too (its logits become 4.4 times as large at the tenth update): --cfg-options
# optim_wrapper.regularizer.output_layers=decode_head.conv_seg
_base_ = "./deeplabv3_wd.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WRS", interval=10),
)
