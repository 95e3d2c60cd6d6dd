# Fine-tuning of mmdet's stock YOLOv3 on MobileNetV2, from ImageNet weights, on 120 pictures of raccoons.
# The config names how to prepare data and weights. Then: python -m research.compare raccoon
title = "mmdet's YOLOv3 on MobileNetV2, fine-tuned on raccoons from ImageNet weights"
kind = "mm"
config = "configs/small/yolov3_mobilenetv2_wd_raccoon.py"
_method = "optim_wrapper.regularizer"
_wrs = {f"{_method}.type": "WRS", f"{_method}.interval": 10, f"{_method}.decay_on": "norm_layers"}
_standardized = {f"model.{part}.conv_cfg.type": "NormRegWSConv2d" for part in ("backbone", "neck", "bbox_head")}
methods: dict = {
    "wd": {},
    "wrs": _wrs,
    "wrs_initial": {**_wrs, f"{_method}.radius": "initial"},
    "aws": {f"{_method}.type": "AWS", f"{_method}.alpha": 1.0, **_standardized},
}
scores = {"mAP@.5": "coco/bbox_mAP_50", "mAP": "coco/bbox_mAP"}
rate = "optim_wrapper.optimizer.lr"
rates = (1e-3, 3e-3, 1e-2)
digits = 3
