# Detection of blood cells, each method at the rate that its own validation chose of three.
# python tools/data/prepare_bccd.py RAW data/bccd && python -m research.compare bccd
title = "a small YOLOv3 on BCCD, from random weights"
kind = "mm"
config = "configs/small/yolov3_{method}_bccd.py"
methods: dict = {"wd": {}, "wrs": {}, "wrs_ic": {}, "aws": {}, "pgd": {}, "adamp": {}}
scores = {"mAP@.5": "coco/bbox_mAP_50", "mAP": "coco/bbox_mAP"}
rate = "optim_wrapper.optimizer.lr"
rates = (6e-3, 2e-2, 6e-2)
rates_of = {"pgd": (2e-3, 6e-3, 2e-2), "adamp": (1e-3, 3e-3, 1e-2)}
digits = 3
