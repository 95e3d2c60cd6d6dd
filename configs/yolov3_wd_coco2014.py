# yolov3_wd.py on the paper's own split of COCO 2014: 117,263 training and 5,000 validation images.
# tools/data/prepare_coco2014.py makes it. Its file names contain the folder (train2014/..., val2014/...).
_base_ = "./yolov3_wd.py"

data_root = "data/coco2014/"
train_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        ann_file="annotations/instances_trainvalno5k.json",
        data_prefix=dict(img=""),
    )
)
val_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        ann_file="annotations/instances_5k.json",
        data_prefix=dict(img=""),
    )
)
test_dataloader = val_dataloader

val_evaluator = dict(ann_file=data_root + "annotations/instances_5k.json")
test_evaluator = val_evaluator
