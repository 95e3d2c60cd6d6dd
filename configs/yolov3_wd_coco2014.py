# yolov3_wd.py, weight decay, the baseline, on the WRS paper's own split of COCO 2014.
_base_ = ["./yolov3_wd.py", "./_base_/datasets/coco2014_split.py"]
data_root, train_dataloader, val_dataloader, test_dataloader, val_evaluator, test_evaluator = _base_.coco2014
