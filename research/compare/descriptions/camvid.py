# Segmentation of streets, each method at the rate that its own validation chose of three.
# python tools/data/prepare_camvid.py RAW data/camvid && python -m research.compare camvid
title = "a small DeepLabv3 on CamVid, from random weights"
kind = "mm"
config = "configs/small/deeplabv3_{method}_camvid.py"
methods: dict = {"wd": {}, "wrs": {}, "wrs_ic": {}, "aws": {}, "pgd": {}, "adamp": {}}
scores = {"mIoU": "mIoU"}
rate = "optim_wrapper.optimizer.lr"
rates = (1e-3, 3e-3, 1e-2)
rates_of = {"pgd": (3e-4, 1e-3, 3e-3)}  # no norm layer corrects a step that is too large
digits = 1
