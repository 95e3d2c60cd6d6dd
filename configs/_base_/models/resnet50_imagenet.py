# ResNet-50 for ImageNet. The other nets of the AWS paper's Table 3 by --cfg-options:
#   ResNet-101   model.backbone.depth=101
#   ResNeXt-50   model.backbone.type=ResNeXt model.backbone.groups=32 model.backbone.width_per_group=4
#   SE-ResNet-50 model.backbone.type=SEResNet
model = dict(
    type="ImageClassifier",
    data_preprocessor=dict(
        type="ClsDataPreprocessor", mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True
    ),
    backbone=dict(type="ResNet", depth=50, zero_init_residual=False, norm_cfg=dict(type="BN")),
    neck=dict(type="GlobalAveragePooling"),
    head=dict(
        type="LinearClsHead",
        num_classes=1000,
        in_channels=2048,
        loss=dict(type="CrossEntropyLoss", loss_weight=1.0),
        topk=(1, 5),
    ),
)
