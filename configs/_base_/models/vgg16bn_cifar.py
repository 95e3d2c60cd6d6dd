# VGG16 for images of 32 or 64 px, with batch norm behind each of its 13 convolutions (WRS paper, section III-B). One
# linear layer takes the place of the three of ImageNet: the paper does not say how it shortens them.
model = dict(
    type="ImageClassifier",
    data_preprocessor=dict(type="ClsDataPreprocessor", mean=[0.0] * 3, std=[255.0] * 3, to_rgb=False),
    backbone=dict(type="VGG", depth=16, norm_cfg=dict(type="BN")),
    neck=dict(type="GlobalAveragePooling"),
    head=dict(
        type="LinearClsHead",
        num_classes=10,
        in_channels=512,
        loss=dict(type="CrossEntropyLoss", loss_weight=1.0),
        topk=(1, 5),
    ),
)
