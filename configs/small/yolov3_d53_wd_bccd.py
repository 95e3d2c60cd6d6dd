# The full YOLOv3 of ../yolov3_wd.py on BCCD, from Darknet-53 of ImageNet; it needs a GPU. For another method write its
# config in the first line, for example "../yolov3_wrs.py". 100 epochs are 2,600 updates, so the warm-up is shorter than
# on COCO.
_base_ = "../yolov3_wd.py"

data_root = "data/bccd/"
bccd = dict(data_root=data_root, metainfo=dict(classes=("RBC", "WBC", "Platelets")))
train_dataloader = dict(dataset=dict(ann_file="annotations/train.json", data_prefix=dict(img="images/train/"), **bccd))
val_dataloader = dict(dataset=dict(ann_file="annotations/val.json", data_prefix=dict(img="images/val/"), **bccd))
test_dataloader = dict(dataset=dict(ann_file="annotations/test.json", data_prefix=dict(img="images/test/"), **bccd))
val_evaluator = [
    dict(type="CocoMetric", ann_file=data_root + "annotations/val.json", metric="bbox"),
    dict(type="NormRegPrecisionRecallMetric", ann_file=data_root + "annotations/val.json"),
]
test_evaluator = [
    dict(type="CocoMetric", ann_file=data_root + "annotations/test.json", metric="bbox"),
    dict(type="NormRegPrecisionRecallMetric", ann_file=data_root + "annotations/test.json"),
]
model = dict(bbox_head=dict(num_classes=3))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=200),
    dict(type="CosineAnnealingLR", T_max=100, by_epoch=True, begin=0, end=100, convert_to_iter_based=True),
]
