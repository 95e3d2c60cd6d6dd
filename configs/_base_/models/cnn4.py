# The net of the L2 paper (section 6): four convolutions with batch norm. It gives neither widths nor pooling.
model = dict(
    type="ImageClassifier",
    data_preprocessor=dict(type="ClsDataPreprocessor", mean=[0.0] * 3, std=[255.0] * 3, to_rgb=False),
    backbone=dict(type="NormRegPlainCNN", filters=(32, 32, 64, 64), pool="max", norm_cfg=dict(type="BN")),
    neck=dict(type="GlobalAveragePooling"),
    head=dict(
        type="LinearClsHead",
        num_classes=10,
        in_channels=64,
        loss=dict(type="CrossEntropyLoss", loss_weight=1.0),
        topk=(1, 5),
    ),
)
