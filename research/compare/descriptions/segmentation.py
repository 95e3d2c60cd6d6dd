# Segmentation of drawn shapes, at the rates of configs/mini, which were chosen for each method beforehand.
# python -m research.compare segmentation
title = "deeplabv3 on a drawn set"
kind = "mm"
config = "configs/mini/deeplabv3_{method}.py"
methods: dict = {"wd": {}, "wrs": {}, "wrs_ic": {}, "aws": {}, "pgd": {}}
scores = {"mIoU": "mIoU", "pixel accuracy": "aAcc"}
higher_is_better = True
digits = 1
