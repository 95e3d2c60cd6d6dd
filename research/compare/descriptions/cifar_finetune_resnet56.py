# Fine-tuning the public resnet56 to JPEG pictures of CIFAR-10, as cifar_finetune.py does with resnet20.
# python -m research.compare cifar_finetune_resnet56
from pathlib import Path as _Path
from runpy import run_path as _run_path

_like = _run_path(str(_Path(__file__).with_name("cifar_finetune.py")))
title = "resnet56, trained on CIFAR-10, fine-tuned to 1,000 of its JPEG pictures"
kind = "cifar"
base = {**_like["base"], "net": "resnet56", "weights": "resnet56.pth", "pictures": 1_000}
methods = {name: settings for name, settings in _like["methods"].items() if name != "PGD"}
methods["AWS"] = dict(method=dict(type="AWS", alpha=4.5e-4), convert="wn")  # its filters have a norm of 1.1
scores = _like["scores"]
rate = "rate"
rates = (0.0003, 0.001, 0.003)
