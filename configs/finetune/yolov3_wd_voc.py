# Fine-tune YOLOv3 from mmdet's COCO weights, with weight decay: on the boxes of VOC 2007 and 2012 (16,551 pictures; test:
# 4,952 of 2007), or on your XML files in their layout (edit these).
classes = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog"),
    *("horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
data_root = "data/VOCdevkit/"
train, val = [("VOC2007", "trainval"), ("VOC2012", "trainval")], ("VOC2007", "test")  # folders and lists
load_from = (  # trained at 320 to 416 px, 30.9 AP; the hash 2b60fcd9 is in the name
    "https://download.openmmlab.com/mmdetection/v2.0/yolo/yolov3_d53_mstrain-416_273e_coco/"
    "yolov3_d53_mstrain-416_273e_coco-2b60fcd9.pth"
)

_base_ = [
    "../_base_/models/yolov3_d53.py",
    "../_base_/datasets/coco2017_yolov3.py",
    "../_base_/schedules/cosine_12e.py",
    "../_base_/runtimes/detection.py",
]

custom_imports = dict(imports=["normreg_plugins"])
# 1.25e-4 is a tenth of the rate of yolov3_wd.py; it is mmdet's 1e-3 for 64 images too, times 8/64.
optim_wrapper = dict(
    type="OptimWrapper",
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WD"),
    optimizer=dict(type="SGD", lr=1.25e-4, momentum=0.9, weight_decay=5e-4),
    clip_grad=dict(max_norm=35, norm_type=2),
)
auto_scale_lr = dict(enable=False, base_batch_size=8, written_for=8)  # docs/multi_gpu.md
model = dict(backbone=dict(init_cfg=None), bbox_head=dict(num_classes=len(classes)))  # load_from has the backbone
pictures = dict(type="VOCDataset", data_root=data_root, metainfo=dict(classes=classes))
wanted = dict(filter_empty_gt=True, min_size=32, bbox_min_size=32)
train_sets = [
    dict(
        ann_file=f"{folder}/ImageSets/Main/{names}.txt",
        data_prefix=dict(sub_data_root=f"{folder}/"),
        filter_cfg=wanted,
        pipeline=_base_.train_pipeline,
        **pictures,
    )
    for folder, names in train
]
train_dataloader = dict(  # mmdet notes the year as dataset_type
    dataset=dict(_delete_=True, type="ConcatDataset", ignore_keys=["dataset_type"], datasets=train_sets)
)
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        ann_file=f"{val[0]}/ImageSets/Main/{val[1]}.txt",
        data_prefix=dict(sub_data_root=f"{val[0]}/"),
        test_mode=True,
        pipeline=_base_.test_pipeline,
        **pictures,
    )
)
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type="VOCMetric", metric="mAP", eval_mode="11points")  # as VOC 2007 was scored
test_evaluator = val_evaluator
default_hooks = dict(checkpoint=dict(save_best="pascal_voc/mAP"))
