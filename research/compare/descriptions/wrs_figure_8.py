# Strengths of weight decay and of WRS in segmentation (WRS paper, Fig. 8.5 and Cityscapes); wrs_figure_2 has the
# rest of Fig. 8. The small size is CamVid.
# python -m research.compare wrs_figure_8 (--small)
_OPTIMIZER, _TAUS = "optim_wrapper.optimizer.", (1, 10, 20, 30, 50)
_DECAYS = (2e-5, 2e-4, 2e-3, 2e-2, 2e-1)
_NAMES = {"VOC": "configs/deeplabv3_{}.py", "Cityscapes": "configs/deeplabv3_{}_cityscapes.py"}
title = "DeepLabv3, strengths of weight decay and of WRS"
kind = "mm"
base = {_OPTIMIZER + "weight_decay": 2e-4, "optim_wrapper.regularizer._delete_": True}
columns = {name: {"config": pattern.format("wd")} for name, pattern in _NAMES.items()}
methods = {f"WD {d:g}": {"optim_wrapper.regularizer.type": "WD", _OPTIMIZER + "weight_decay": d} for d in _DECAYS}
methods |= {
    f"WRS tau {t}": {"optim_wrapper.regularizer.type": "WRS", "optim_wrapper.regularizer.interval": t} for t in _TAUS
}
scores = {"mIoU": "mIoU"}
sweeps = {
    "weight decay": {f"WD {decay:g}": decay for decay in _DECAYS},
    "updates between two rescales by WRS": {f"WRS tau {tau}": tau for tau in _TAUS},
}
small = dict(columns={"CamVid": {"config": "configs/small/deeplabv3_wd_camvid.py"}})
