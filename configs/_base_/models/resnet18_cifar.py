# ResNet-18 for images of 32 or 64 px: a 3x3 convolution and no pooling at the start. A batch norm follows every
# convolution, those of the shortcuts included, as the WRS paper has it in Table I.
model = dict(
    type="ImageClassifier",
    data_preprocessor=dict(type="ClsDataPreprocessor", mean=[0.0] * 3, std=[255.0] * 3, to_rgb=False),
    backbone=dict(type="ResNet_CIFAR", depth=18, zero_init_residual=False, norm_cfg=dict(type="BN")),
    neck=dict(type="GlobalAveragePooling"),
    head=dict(
        type="LinearClsHead",
        num_classes=10,
        in_channels=512,
        loss=dict(type="CrossEntropyLoss", loss_weight=1.0),
        topk=(1, 5),
    ),
)
