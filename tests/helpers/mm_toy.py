"""A small convolutional net and a few images, trained by a real mmengine Runner in a second or so."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.registry import DATASETS, METRICS, MODELS, OPTIM_WRAPPER_CONSTRUCTORS
from mmengine.runner import Runner
from torch import nn
from torch.nn import functional as F

import normreg_plugins.hosts.mmengine  # noqa: F401  (it registers what the configs name)

_runs = itertools.count()
IMAGES = 24


@MODELS.register_module()
class ToyNet(BaseModel):
    """Conv, depthwise conv, conv, each with a norm layer behind it, and a classifier without one.

    Args:
        frozen_norm: the first norm layer stays on its running statistics, as with `norm_eval`.
        frozen_stages: 1 leaves the first convolution as it is.
        loss_weight: makes the loss overflow where a test wants that.
    """

    def __init__(
        self,
        norm: str = "BN",
        width: int = 8,
        frozen_norm: bool = False,
        frozen_stages: int = 0,
        loss_weight: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        from mmcv.cnn import build_norm_layer  # a norm by mm's own names, SyncBN among them

        def build_norm() -> nn.Module:
            return build_norm_layer({"type": norm}, width)[1]

        self.conv1 = nn.Conv2d(3, width, 3, bias=False)
        self.bn1 = build_norm()
        self.depthwise = nn.Conv2d(width, width, 3, groups=width, bias=False)
        self.bn2 = build_norm()
        self.conv3 = nn.Conv2d(width, width, 1)
        self.bn3 = build_norm()
        self.head = nn.Linear(width, 3)
        self._frozen_norm, self._loss_weight = frozen_norm, loss_weight
        if frozen_stages:
            self.conv1.requires_grad_(False)

    def train(self, mode: bool = True) -> ToyNet:
        super().train(mode)
        if self._frozen_norm:
            self.bn1.eval()
        return self

    def features(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.depthwise(x)))
        return F.relu(self.bn3(self.conv3(x)))

    def forward(self, image: torch.Tensor, label: torch.Tensor, mode: str = "tensor") -> Any:
        scores = self.head(self.features(image).mean((2, 3)))
        if mode == "loss":
            return {"loss": self._loss_weight * F.cross_entropy(scores, label)}
        return list(scores) if mode == "predict" else scores


@MODELS.register_module()
class NoNorm(nn.Identity):
    """Instead of a norm layer, where a test wants none."""

    _abbr_ = "bn"

    def __init__(self, num_features: int, eps: float = 1e-5) -> None:
        super().__init__()


@MODELS.register_module()
class LyingNet(ToyNet):
    """Registers a norm layer behind its last convolution, but does not call it."""

    def features(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.depthwise(x)))
        return F.relu(self.conv3(x))


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class OnePerPart:
    """An optimizer for each part of the net: `parts` gives the beginnings of its parameters' names."""

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: Any = None) -> None:
        self._parts = optim_wrapper_cfg["parts"]

    def __call__(self, model: nn.Module) -> OptimWrapperDict:
        wrappers = {}
        for name, prefixes in self._parts.items():
            params = [p for n, p in model.named_parameters() if n.startswith(tuple(prefixes))]
            wrappers[name] = OptimWrapper(torch.optim.SGD(params, lr=0.1, weight_decay=0.01))
        return OptimWrapperDict(**wrappers)


def several(parts: dict[str, list[str]]) -> dict[str, Any]:
    """The changes to a config for several optimizers."""
    wrapper = {"_delete_": True, "constructor": "OnePerPart", "parts": parts}
    return {"optim_wrapper": wrapper}


@DATASETS.register_module()
class ToyImages(torch.utils.data.Dataset):
    """Images whose class is their brightest channel; the same ones every time."""

    def __init__(self, size: int = 9) -> None:
        generator = torch.Generator().manual_seed(0)
        self._labels = torch.arange(IMAGES) % 3
        self._images = torch.randn(IMAGES, 3, size, size, generator=generator)
        self._images[torch.arange(IMAGES), self._labels] += 0.5

    def __len__(self) -> int:
        return IMAGES

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {"image": self._images[index], "label": self._labels[index]}


@METRICS.register_module()
class MeanScore(BaseMetric):
    """The mean score of the first class: moves with every weight of the evaluated net."""

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results += [float(score[0]) for score in data_samples]

    def compute_metrics(self, results: list[float]) -> dict[str, float]:
        return {"score": sum(results) / len(results)}


def loader(shuffle: bool = False, batch_size: int = 4) -> dict[str, Any]:
    """Batches of drawn images; `DefaultSampler` has the same order in every epoch of the same number."""
    return {
        "batch_size": batch_size,
        "num_workers": 0,
        "collate_fn": {"type": "default_collate"},
        "sampler": {"type": "DefaultSampler", "shuffle": shuffle},
        "dataset": {"type": "ToyImages"},
    }


def config(work_dir: Any, regularizer: dict | None = None, way: str = "constructor", **changes: Any) -> Config:
    """A whole config; `regularizer` goes in by one of the two ways, `changes` are merged in last."""
    cfg: dict[str, Any] = {
        "model": {"type": "ToyNet"},
        "train_dataloader": loader(shuffle=True),
        "train_cfg": {"by_epoch": True, "max_epochs": 2},
        "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}},
        "default_hooks": {
            "logger": None,
            "timer": None,
            "checkpoint": {"type": "NormRegCheckpointHook", "interval": 1},
        },
        "custom_hooks": [],
        "log_level": "WARNING",
        "randomness": {"seed": 0},
        "env_cfg": {},
        "work_dir": str(work_dir),
        "experiment_name": f"toy{next(_runs)}",
    }
    if regularizer is not None and way == "constructor":
        cfg["optim_wrapper"] |= {"constructor": "NormRegOptimWrapperConstructor", "regularizer": regularizer}
    elif regularizer is not None:
        cfg["custom_hooks"].append({"type": "NormRegHook", "regularizer": regularizer})
    if not changes.get("train_cfg", {}).get("by_epoch", True):
        cfg["train_cfg"] = {}
    merged = Config(cfg)
    hooks = changes.pop("custom_hooks", [])
    merged.merge_from_dict(changes)
    merged.custom_hooks += hooks
    return merged


def train(work_dir: Any, regularizer: dict | None = None, way: str = "constructor", **changes: Any) -> Runner:
    """Train and return the runner."""
    runner = Runner.from_cfg(config(work_dir, regularizer, way, **changes))
    runner.train()
    return runner


def weights(runner: Runner) -> dict[str, torch.Tensor]:
    """Everything the trained net holds, running statistics included."""
    model = getattr(runner.model, "module", runner.model)
    return {name: value.clone() for name, value in model.state_dict().items()}
