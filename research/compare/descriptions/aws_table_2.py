# AWS over five decades of alpha, with WS and WN, SGD and Adam (AWS paper, Table 2).
# python -m research.compare aws_table_2 (--small)
from pathlib import Path as _Path
from runpy import run_path as _run_path

from research.tables import settings as _s

_like = _run_path(str(_Path(__file__).with_name("aws_table_1.py")))
_small = _like["small"]


def _alphas(times):
    alphas = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
    return {f"AWS {alpha:g}": {"method": {"type": "AWS", "alpha": alpha * times}} for alpha in alphas}


title = "AWS, ResNet-50 on ImageNet"
kind = "mmpretrain"
base = _like["base"]
columns = {
    f"{optimizer}, {conv.upper()}": {**settings, "convert": conv}
    for conv in ("ws", "wn")
    for optimizer, settings in (("SGD", _s.SGDM), ("Adam", _like["_ADAM"]))
}
methods = _alphas(1)
scores = {"accuracy %": "accuracy"}
seeds = (0,)
small = {**_small, "methods": _alphas(333)}
small["columns"] = {
    f"{optimizer}, {conv.upper()}": {**_small["columns"][f"{optimizer}, WS"], "convert": conv}
    for conv in ("ws", "wn")
    for optimizer in ("SGD", "Adam")
}
