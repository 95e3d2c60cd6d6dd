# Detection of blood cells, each method at the rate that its own validation chose of three.
# python tools/data/prepare_bccd.py RAW data/bccd && python tools/research/compare_methods.py bccd
title = "a small YOLOv3 on BCCD, from random weights"
kind = "mm"
config = "configs/real/yolov3_{method}_bccd.py"
methods = {"wd": {}, "wrs": {}, "wrs_ic": {}, "aws": {}, "pgd": {}, "adamp": {}}
scores = {"mAP@.5": "coco/bbox_mAP_50", "mAP": "coco/bbox_mAP"}
rate = "optim_wrapper.optimizer.lr"
rates = (2e-3, 6e-3, 2e-2)
rates_of = {"pgd": (6e-4, 2e-3, 6e-3), "adamp": (3e-4, 1e-3, 3e-3)}
digits = 3
