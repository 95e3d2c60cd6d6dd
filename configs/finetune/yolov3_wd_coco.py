# Fine-tune YOLOv3 from mmdet's COCO weights, with weight decay: on COCO 2017, or on your boxes in its layout (edit these).
classes = (
    *("person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light"),
    *("fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow"),
    *("elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee"),
    *("skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard"),
    *("tennis racket", "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich"),
    *("orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant", "bed"),
    *("dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven"),
    *("toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush"),
)
data_root = "data/coco/"
train, val = "train2017", "val2017"  # pictures in train2017/, boxes in annotations/instances_train2017.json
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
pictures = dict(data_root=data_root, metainfo=dict(classes=classes))
train_dataloader = dict(
    dataset=dict(ann_file=f"annotations/instances_{train}.json", data_prefix=dict(img=f"{train}/"), **pictures)
)
val_dataloader = dict(
    dataset=dict(ann_file=f"annotations/instances_{val}.json", data_prefix=dict(img=f"{val}/"), **pictures)
)
test_dataloader = val_dataloader
val_evaluator = [
    dict(type="CocoMetric", ann_file=f"{data_root}annotations/instances_{val}.json", metric="bbox"),
    dict(type="NormRegPrecisionRecallMetric", ann_file=f"{data_root}annotations/instances_{val}.json"),
]
test_evaluator = val_evaluator
