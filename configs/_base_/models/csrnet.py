# CSRNet with the Bayesian loss (WRS paper, section VI-C.3). Its sixteen 3x3 convolutions have batch norm; its output
# has none. The paper starts from a VGG16 trained on ImageNet and does not say which one. VGG16-BN keeps its function
# here, because it has batch norm too.
model = dict(
    type="CrowdCounter",
    data_preprocessor=dict(type="ImgDataPreprocessor", mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    backbone=dict(type="CSRNet", norm_cfg=dict(type="BN"), output="abs"),
    # The paper does not name the background. This form is that of the paper that introduces the Bayesian loss; we have
    # not checked the ratio there.
    loss=dict(type="BayesianLoss", sigma=8.0, background="margin", background_ratio=0.15),
    init_cfg=dict(type="NormRegPretrained", checkpoint="torchvision://vgg16_bn"),
)
