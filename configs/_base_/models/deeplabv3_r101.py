# DeepLabv3 on ResNet-101 at output stride 16, as in the WRS paper: strides 1, 2, 2, 1, dilations 1, 1, 1, 2, ASPP with
# rates 1, 6, 12, 18. The paper mentions no auxiliary head, so there is none. The rest is mmseg's: the deep stem of
# ResNetV1c, 512 channels in the ASPP, dropout 0.1 before the classifier.
#
# The model is written out, because `_base_ = "mmseg::..."` resolves in the classic distribution only. Its norm layers
# are plain batch norm. Under a launcher `sync_bn` in _base_/runtimes/segmentation.py synchronizes them.
data_preprocessor = dict(
    type="SegDataPreProcessor",
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_val=0,
    seg_pad_val=255,
    size=(512, 512),
)
norm_cfg = dict(type="BN", requires_grad=True)
model = dict(
    type="EncoderDecoder",
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type="ResNetV1c",
        depth=101,
        num_stages=4,
        out_indices=(0, 1, 2, 3),
        strides=(1, 2, 2, 1),
        dilations=(1, 1, 1, 2),
        norm_cfg=norm_cfg,
        norm_eval=False,
        style="pytorch",
        contract_dilation=True,
        init_cfg=dict(type="Pretrained", checkpoint="open-mmlab://resnet101_v1c"),
    ),
    decode_head=dict(
        type="ASPPHead",
        in_channels=2048,
        in_index=3,
        channels=512,
        dilations=(1, 6, 12, 18),
        dropout_ratio=0.1,
        num_classes=21,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(type="CrossEntropyLoss", use_sigmoid=False, loss_weight=1.0),
    ),
    auxiliary_head=None,
    train_cfg=dict(),
    test_cfg=dict(mode="whole"),
)
