# The fine-tuning of deeplabv3_mobilenetv2_wd_camvid.py on pictures of COCO with masks of VOC's classes, in VOC's layout.
# The rate is chosen on every third picture of val.txt: cd data/coco_voc20/ImageSets/Segmentation;
# awk 'NR % 3 == 1' val.txt > choose.txt; awk 'NR % 3 != 1' val.txt > test.txt
_base_ = "./deeplabv3_mobilenetv2_wd_camvid.py"

classes = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=10),
    dict(type="CosineAnnealingLR", T_max=200, by_epoch=False, begin=0, end=200),
]
train_cfg = dict(max_iters=200, val_interval=200)

crop_size = (128, 128)
model = dict(
    data_preprocessor=dict(size=crop_size),
    decode_head=dict(num_classes=len(classes)),
    auxiliary_head=dict(num_classes=len(classes)),
)
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations"),
    dict(type="RandomResize", scale=(192, 128), ratio_range=(0.75, 1.5), keep_ratio=True),
    dict(type="RandomCrop", crop_size=crop_size, cat_max_ratio=0.75),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackSegInputs"),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=(192, 128), keep_ratio=True),
    dict(type="LoadAnnotations"),
    dict(type="PackSegInputs"),
]
pictures = dict(
    data_root="data/coco_voc20",
    metainfo=dict(classes=classes),
    data_prefix=dict(img_path="JPEGImages", seg_map_path="SegmentationClass"),
)
lists = "ImageSets/Segmentation/"
train_dataloader = dict(dataset=dict(ann_file=lists + "train.txt", pipeline=train_pipeline, **pictures))
val_dataloader = dict(dataset=dict(ann_file=lists + "choose.txt", pipeline=test_pipeline, **pictures))
test_dataloader = dict(dataset=dict(ann_file=lists + "test.txt", pipeline=test_pipeline, **pictures))
