# Weight decay over four orders of magnitude against WRS every 1 to 50 updates (WRS paper, Fig. 2b and 8), on streets.
# python tools/data/prepare_camvid.py RAW data/camvid && python -m research.compare camvid_sensitivity
_OPTIMIZER, _CONFIG = "optim_wrapper.optimizer.", "configs/small/deeplabv3_{}_camvid.py"
_DECAYS = (5e-4, 5e-3, 5e-2, 5e-1, 5.0)
_TAUS = (1, 3, 10, 30, 50)
title = "a small DeepLabv3 on CamVid, from random weights"
kind = "mm"
base = {_OPTIMIZER + "weight_decay": 5e-4}
columns = {
    "SGDM": {_OPTIMIZER + "type": "SGD", _OPTIMIZER + "momentum": 0.9, _OPTIMIZER + "lr": 0.1},
    "AdamW": {_OPTIMIZER + "lr": 0.01},
}
methods = {
    **{f"WD {decay:g}": {"config": _CONFIG.format("wd"), _OPTIMIZER + "weight_decay": decay} for decay in _DECAYS},
    **{f"WRS tau {t}": {"config": _CONFIG.format("wrs"), "optim_wrapper.regularizer.interval": t} for t in _TAUS},
}
scores = {"mIoU": "mIoU"}
sweeps = {
    "weight decay": {f"WD {decay:g}": decay for decay in _DECAYS},
    "updates between two rescales by WRS": {f"WRS tau {tau}": tau for tau in _TAUS},
}
