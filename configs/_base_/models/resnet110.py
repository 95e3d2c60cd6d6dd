# ResNet-110 for images of 32 px: 54 blocks of 16, 32 and 64 channels, and shortcuts without weights.
model = dict(
    type="ImageClassifier",
    data_preprocessor=dict(type="ClsDataPreprocessor", mean=[0.0] * 3, std=[255.0] * 3, to_rgb=False),
    backbone=dict(type="NormRegCifarResNet", depth=110, norm_cfg=dict(type="BN")),
    neck=dict(type="GlobalAveragePooling"),
    head=dict(
        type="LinearClsHead",
        num_classes=10,
        in_channels=64,
        loss=dict(type="CrossEntropyLoss", loss_weight=1.0),
        topk=(1, 5),
    ),
)
