# BCCD as tools/data/prepare_bccd.py prepares it, for the full YOLOv3: the pipeline and the size of COCO. 100 epochs are
# 2,600 updates, so the warm-up is shorter. A config takes all eight settings:
#   (data_root, train_dataloader, val_dataloader, test_dataloader, val_evaluator, test_evaluator, model,
#    param_scheduler) = _base_.bccd
root = "data/bccd/"
about = dict(data_root=root, metainfo=dict(classes=("RBC", "WBC", "Platelets")))
bccd = (
    root,
    *(
        dict(dataset=dict(ann_file=f"annotations/{split}.json", data_prefix=dict(img=f"images/{split}/"), **about))
        for split in ("train", "val", "test")
    ),
    *(
        [
            dict(type="CocoMetric", ann_file=f"{root}annotations/{split}.json", metric="bbox"),
            dict(type="NormRegPrecisionRecallMetric", ann_file=f"{root}annotations/{split}.json"),
        ]
        for split in ("val", "test")
    ),
    dict(bbox_head=dict(num_classes=3)),
    [
        dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=200),
        dict(type="CosineAnnealingLR", T_max=100, by_epoch=True, begin=0, end=100, convert_to_iter_based=True),
    ],
)
del root, about
