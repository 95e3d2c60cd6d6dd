# DeepLabv3 on VOC 2012 with weight rescaling (WRS) every 10 updates, the paper's interval. The protocol is that of
# deeplabv3_wd.py. Weight decay acts on the norm layers' own parameters only (Algorithm 1, line 7; see yolov3_wrs.py).
#
# No norm layer follows the classifier `conv_seg`, so its scale is part of the function. Algorithm 1 rescales the output
# layer "for classification tasks" only, so this config leaves it as it is. To rescale it too, name it: --cfg-options
# optim_wrapper.regularizer.output_layers=decode_head.conv_seg. Its filters begin at a norm of about 0.23, so the logits
# become 4.4 times as large at the tenth update.
_base_ = "./deeplabv3_wd.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WRS", interval=10, decay_on="norm_layers"),
)
