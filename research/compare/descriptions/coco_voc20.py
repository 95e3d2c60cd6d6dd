# Fine-tuning of mmseg's stock DeepLabv3 on MobileNetV2, from ImageNet weights, on 129 pictures of COCO in VOC's layout.
# The config names how to prepare data and weights. Then: python -m research.compare coco_voc20
from research.compare.fine_tuning import rows as _rows

title = "mmseg's DeepLabv3 on MobileNetV2, fine-tuned on COCO's pictures of VOC's classes from ImageNet weights"
kind = "mm"
config = "configs/small/deeplabv3_mobilenetv2_wd_coco_voc20.py"
methods: dict = _rows(("backbone", "decode_head", "auxiliary_head"), alpha=1.0)
scores = {"mIoU": "mIoU"}
bfloat16 = True  # saves time on a CPU that has AMX
rate = "optim_wrapper.optimizer.lr"
rates = (3e-3, 1e-2, 3e-2)  # from 3e-2 on, most rows predict background only
digits = 1
