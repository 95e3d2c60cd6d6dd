# Fine-tuning of CSRNet at full width, from VGG16-BN's first ten convolutions, on ShanghaiTech part A.
# The config names how to prepare data and weights. Then: python -m research.compare shanghaitech
from research.compare.fine_tuning import rows as _rows

title = "CSRNet from VGG16-BN weights, fine-tuned on ShanghaiTech part A at a shorter side of 160 px at most"
kind = "mm"
config = "configs/small/csrnet_vgg16bn_wd_shanghaitech.py"
base = {
    "model.init_cfg.checkpoint": "data/weights/craft_vgg16bn_front10_half.pth",
    "optim_wrapper.optimizer.fused": True,
}
methods: dict = _rows(("backbone",), alpha=1.0, interval=1, init="model.init_cfg")
bfloat16 = True
scores = {"MAE": "count/MAE", "RMSE ('MSE')": "count/RMSE", "NAE": "count/NAE"}
rate = "optim_wrapper.optimizer.lr"
rates = (1e-4, 3e-4, 1e-3)
rates_of = {  # best at the edge of the others' rates
    "wd": (3e-4, 1e-3, 3e-3),
    "aws": (3e-5, 1e-4, 3e-4),
    "pgd": (3e-5, 1e-4, 3e-4),
}
higher_is_better = False
digits = 2
