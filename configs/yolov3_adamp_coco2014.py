# yolov3_adamp.py, AdamP, on the WRS paper's own split of COCO 2014.
_base_ = ["./yolov3_adamp.py", "./_base_/datasets/coco2014_split.py"]
data_root, train_dataloader, val_dataloader, test_dataloader, val_evaluator, test_evaluator = _base_.coco2014
