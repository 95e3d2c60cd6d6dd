# Detection on drawn shapes, at the rates of configs/mini, which were chosen for each method beforehand.
# python -m research.compare detection
title = "yolov3 on a drawn set"
kind = "mm"
config = "configs/mini/yolov3_{method}.py"
methods: dict = {"wd": {}, "wrs": {}, "wrs_ic": {}, "aws": {}, "pgd": {}, "adamp": {}}
scores = {"mAP@.5": "coco/bbox_mAP_50", "mAP": "coco/bbox_mAP"}
higher_is_better = True
digits = 3
