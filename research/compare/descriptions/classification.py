# Classification of digits, at the rates of configs/mini.
# python -m research.compare classification
title = "resnet18 on scikit-learn's digits"
kind = "mm"
config = "configs/mini/resnet18_{method}.py"
methods: dict = {"wd": {}, "wrs": {}, "wrs_ic": {}, "aws": {}, "pgd": {}, "adamp": {}, "ws": {}, "bwn": {}}
scores = {"top-1": "accuracy/top1", "top-5": "accuracy/top5"}
