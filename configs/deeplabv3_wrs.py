# DeepLabv3 on VOC 2012 with weight rescaling (WRS) every 10 updates, the paper's tau. Protocol: see deeplabv3_wd.py; what
# is left of the weight decay acts on the norms' own parameters and on the bias of the classifier.
#
# `conv_seg`, the 1x1 convolution that classifies each pixel, has no norm behind it, so its scale is part of the function
# and it is not taken unless it is named. Algorithm 1 of the paper rescales the output layer "only for classification",
# and classifying is what this layer does; hence it is named here. To leave it to weight decay, as Algorithm 1 does with
# the output layers of detection and counting: --cfg-options optim_wrapper.regularizer.output_layers='()'
_base_ = [
    "_base_/models/deeplabv3_r101.py",
    "_base_/datasets/voc12aug.py",
    "_base_/schedules/deeplabv3_52e.py",
    "_base_/regularizers/wrs.py",
    "_base_/runtimes/segmentation.py",
]
optim_wrapper = dict(
    optimizer=dict(type="AdamW", lr=1e-4, weight_decay=2e-4),
    regularizer=dict(output_layers=("decode_head.conv_seg",)),
)
auto_scale_lr = dict(enable=False, base_batch_size=10)
