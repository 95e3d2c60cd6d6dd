# Fine-tuning of CSRNet at full width, from VGG16-BN's first ten convolutions, on ShanghaiTech part A.
# The config names how to prepare data and weights. Then: python -m research.compare shanghaitech
title = "CSRNet from VGG16-BN weights, fine-tuned on ShanghaiTech part A at a shorter side of 384 px at most"
kind = "mm"
config = "configs/small/csrnet_vgg16bn_wd_shanghaitech.py"
base = {"model.pretrained": "data/weights/craft_vgg16bn_front10_half.pth", "train_cfg.val_interval": 2}
_method = "optim_wrapper.regularizer"
_wrs = {f"{_method}.type": "WRS", f"{_method}.interval": 1, f"{_method}.decay_on": "norm_layers"}
methods: dict = {
    "wd": {},
    "wrs": _wrs,
    "wrs_initial": {**_wrs, f"{_method}.radius": "initial"},
    "aws": {f"{_method}.type": "AWS", f"{_method}.alpha": 41.0, "model.backbone.conv_cfg.type": "NormRegWSConv2d"},
}
scores = {"MAE": "count/MAE", "RMSE ('MSE')": "count/RMSE"}
rate = "optim_wrapper.optimizer.lr"
rates = (3e-5, 1e-4, 3e-4)
higher_is_better = False
digits = 1
