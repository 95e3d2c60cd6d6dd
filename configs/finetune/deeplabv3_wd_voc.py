# Fine-tune DeepLabv3 from mmseg's COCO-Stuff weights, with weight decay: on VOC 2012 with the masks of SBD, or on your masks
# in its layout (edit these).
classes = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
data_root = "data/VOCdevkit/VOC2012"  # pictures in JPEGImages/
train, val = [("SegmentationClass", "train"), ("SegmentationClassAug", "aug")], ("SegmentationClass", "val")
load_from = (  # trained on 171 classes, 512 px, output stride 8; the hash 3cbca14d is in the name
    "https://download.openmmlab.com/mmsegmentation/v0.5/deeplabv3/"
    "deeplabv3_r101-d8_512x512_4x4_320k_coco-stuff164k/"
    "deeplabv3_r101-d8_512x512_4x4_320k_coco-stuff164k_20210709_155402-3cbca14d.pth"
)

_base_ = [
    "../_base_/models/deeplabv3_r101_stock.py",
    "../_base_/datasets/voc12aug.py",
    "../_base_/schedules/deeplabv3_stock_20k.py",
    "../_base_/runtimes/segmentation.py",
]

custom_imports = dict(imports=["normreg_plugins"])
# 5e-4 is a tenth of mmseg's rate, 0.01 for 16 images, for 8 images.
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WD"),
    optimizer=dict(type="SGD", lr=5e-4, momentum=0.9, weight_decay=5e-4),
)
param_scheduler = [dict(type="PolyLR", power=0.9, eta_min=5e-6, begin=0, end=20000, by_epoch=False)]
auto_scale_lr = dict(enable=False, base_batch_size=8, written_for=8)  # docs/multi_gpu.md
norm_cfg = dict(type="BN", requires_grad=True)  # under a launcher sync_bn synchronizes it
model = dict(
    pretrained=None,  # load_from has the backbone
    backbone=dict(norm_cfg=norm_cfg),
    decode_head=dict(norm_cfg=norm_cfg, num_classes=len(classes)),
    auxiliary_head=dict(norm_cfg=norm_cfg, num_classes=len(classes)),
)
pictures = dict(
    type="BaseSegDataset", data_root=data_root, img_suffix=".jpg", seg_map_suffix=".png", metainfo=dict(classes=classes)
)
train_sets = [
    dict(
        ann_file=f"ImageSets/Segmentation/{names}.txt",
        data_prefix=dict(img_path="JPEGImages", seg_map_path=masks),
        pipeline=_base_.train_pipeline,
        **pictures,
    )
    for masks, names in train
]
train_dataloader = dict(batch_size=8, dataset=dict(datasets=train_sets))
val_dataloader = dict(
    dataset=dict(
        ann_file=f"ImageSets/Segmentation/{val[1]}.txt",
        data_prefix=dict(img_path="JPEGImages", seg_map_path=val[0]),
        **pictures,
    )
)
test_dataloader = val_dataloader
