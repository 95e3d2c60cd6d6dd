# CSRNet with batch norm on its sixteen 3x3 convolutions and none on the output, and the Bayesian loss
# (WRS paper, section VI-C.3). The paper takes an ImageNet VGG16 and does not say which; with batch norm
# it is VGG16-BN that keeps its function. For vgg16's bare filters: model.pretrained=torchvision://vgg16
model = dict(
    type="CrowdCounter",
    data_preprocessor=dict(type="ImgDataPreprocessor", mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    backbone=dict(type="CSRNet", norm_cfg=dict(type="BN"), output="abs"),
    # The paper does not say which background; this is the Bayesian-loss paper's own form.
    loss=dict(type="BayesianLoss", sigma=8.0, background="margin", background_ratio=0.15),
    pretrained="torchvision://vgg16_bn",
)
