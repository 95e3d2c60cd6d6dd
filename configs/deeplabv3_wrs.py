# DeepLabv3 on VOC 2012 with weight rescaling (WRS) every 10 updates, the paper's interval. The protocol is that of
# deeplabv3_wd.py. Its weight decay acts only on the norm layers and on the bias of the classifier.
#
# The classifier `conv_seg` is a 1x1 convolution. No norm layer follows it, so its scale is part of the function, and
# WRS takes it only if it is named. Algorithm 1 of the paper rescales the output layer "only for classification". This
# layer classifies pixels, so it is named here. To leave it to weight decay, as the paper does in detection and
# counting: --cfg-options optim_wrapper.regularizer.output_layers='()'
_base_ = "./deeplabv3_wd.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WRS", interval=10, output_layers=("decode_head.conv_seg",)),
)
