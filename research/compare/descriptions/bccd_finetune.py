# Fine-tuning of mmdet's stock YOLOv3 on MobileNetV2, from ImageNet weights, on blood cells.
# The config names how to prepare data and weights. Then: python -m research.compare bccd_finetune
from research.compare.fine_tuning import rows as _rows

title = "mmdet's YOLOv3 on MobileNetV2, fine-tuned on BCCD from ImageNet weights"
kind = "mm"
config = "configs/small/yolov3_mobilenetv2_wd_bccd.py"
methods: dict = _rows(("backbone", "neck", "bbox_head"), alpha=1.0)
scores = {"mAP@.5": "coco/bbox_mAP_50", "mAP": "coco/bbox_mAP"}
rate = "optim_wrapper.optimizer.lr"
rates = (3e-3, 1e-2, 3e-2)
rates_of = {"pgd": (1e-3, 3e-3, 1e-2)}
digits = 3
