# Fine-tuning the public resnet20 to all JPEG pictures of CIFAR-10 that it was trained on, for one epoch.
# python -m research.compare cifar_finetune_all
from pathlib import Path as _Path
from runpy import run_path as _run_path

_like = _run_path(str(_Path(__file__).with_name("cifar_finetune.py")))
title = "resnet20, trained on CIFAR-10, fine-tuned to all 50,000 of its JPEG pictures"
kind = "cifar"
base = {**_like["base"], "pictures": 50_000, "epochs": 1}
methods = {name: _like["methods"][name] for name in ("WD", "WRS", "WRS, own norms")}
scores = _like["scores"]
rate = "rate"
rates = (0.003, 0.01, 0.03)
