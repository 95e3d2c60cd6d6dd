# Fine-tuning of mmseg's stock DeepLabv3 on MobileNetV2, from ImageNet weights, on CamVid.
# The config names how to prepare data and weights. Then: python -m research.compare camvid_finetune
from research.compare.fine_tuning import rows as _rows

title = "mmseg's DeepLabv3 on MobileNetV2, fine-tuned on CamVid from ImageNet weights"
kind = "mm"
config = "configs/small/deeplabv3_mobilenetv2_wd_camvid.py"
methods: dict = _rows(("backbone", "decode_head", "auxiliary_head"), alpha=1.0)
scores = {"mIoU": "mIoU"}
bfloat16 = True  # saves time on a CPU that has AMX
rate = "optim_wrapper.optimizer.lr"
rates = (3e-2, 1e-1, 3e-1)
rates_of = dict.fromkeys(("wrs", "pgd"), (1e-2, 3e-2, 1e-1))
digits = 1
