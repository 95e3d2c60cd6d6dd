# WideResNet-28-10 with a batch norm behind every convolution, as the WRS paper has it in Table I. In the net as it was
# published, norm layers stand before the convolutions: --cfg-options model.backbone.block=preactivated
model = dict(
    type="ImageClassifier",
    data_preprocessor=dict(type="ClsDataPreprocessor", mean=[0.0] * 3, std=[255.0] * 3, to_rgb=False),
    backbone=dict(type="NormRegCifarResNet", depth=28, width=10, block="plain", norm_cfg=dict(type="BN")),
    neck=dict(type="GlobalAveragePooling"),
    head=dict(
        type="LinearClsHead",
        num_classes=10,
        in_channels=640,
        loss=dict(type="CrossEntropyLoss", loss_weight=1.0),
        topk=(1, 5),
    ),
)
