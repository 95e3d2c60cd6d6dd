"""One training on CIFAR-10 with any method, from random weights or from a checkpoint, and its scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from normreg_plugins import attach
from normreg_plugins.hosts.methods import build_method
from normreg_plugins.layers import ScaleBias, convert
from research.cifar.nets import NETS
from research.cifar.pictures import Parts, Pictures, as_input, augmented, batches, digit_parts, parts
from research.nets import centre_alone, conv_weights, filter_norms

ALWAYS = (0.0, 1.0)


@dataclass(frozen=True)
class Training:
    """The settings of a training. `method` is what a config's `regularizer` is; empty for the optimizer alone."""

    data: str = "data/cifar10"
    """The folder of the packed pictures, or 'digits' for those of scikit-learn."""
    net: str = "resnet20"
    weights: str = ""
    """A state dict in the data folder to begin from; empty for random weights."""
    pictures: int = 4_000
    """How many to learn from; see `pictures.parts` for those that are validated and tested."""
    validated: int = 1_000
    tested: int = 5_000
    epochs: float = 3
    batch: int = 64
    rate: float = 0.01
    rate_is_for_batch: int = 0
    """If not 0, the rate is multiplied by batch / rate_is_for_batch, the linear scaling rule."""
    optimizer: str = "sgdm"
    schedule: str = "cosine"
    """'cosine', 'constant', or 'drops': by 10 at 3/10, 6/10 and 8/10 of the run."""
    weight_decay: float = 5e-4
    filter_decay: float | None = None
    """The weight decay of the filters, if it is another than that of the rest."""
    method: Mapping[str, Any] = field(default_factory=dict)
    phase: tuple[float, float] = ALWAYS
    """From which part of the run to which the method acts; without a method, the weight decay of the filters."""
    convert: str = ""
    """'pgd': scale-bias layers instead of batch norms. 'ws', 'wn', ...: convolutions that normalize their weight."""
    initial_scale: float = 1.0
    """The filters begin so many times as large."""
    centre_alone: bool = False
    """The zero-mean constraint of PGD without its sphere, for the ablation."""
    sigma: float = 0.0
    """The noise of the scale-bias layers."""
    augment: bool = True


@dataclass(frozen=True)
class Outcome:
    validation: float | None
    """Accuracy in %; None if the training diverged (NaN or Inf)."""
    test: float | None
    loss: float | None
    """The mean training loss of the last tenth of the updates."""
    filter_norm: float
    """The mean norm of the filters of all convolutions at the end."""
    failed_at: int | None
    """The update after which the loss was not finite."""


OPTIMIZERS = {
    "sgd": lambda groups, rate: torch.optim.SGD(groups, rate),
    "sgdm": lambda groups, rate: torch.optim.SGD(groups, rate, momentum=0.9),
    "nesterov": lambda groups, rate: torch.optim.SGD(groups, rate, momentum=0.9, nesterov=True),
    "rmsprop": lambda groups, rate: torch.optim.RMSprop(groups, rate),
    "adamw": lambda groups, rate: torch.optim.AdamW(groups, rate),
    "adam": lambda groups, rate: torch.optim.Adam(groups, rate),
}
DROPS = (0.3, 0.6, 0.8)
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def training_of(settings: Mapping[str, Any]) -> Training:
    known = {each.name for each in fields(Training)}
    if unknown := sorted(set(settings) - known):
        raise ValueError(f"a training on CIFAR-10 has no setting {unknown[0]!r}; it has {', '.join(sorted(known))}")
    return Training(**settings)


def train(run: Training, seed: int) -> Outcome:
    torch.manual_seed(seed)
    used = parts_of(run, seed)
    model = built(run, used.learned)
    updates = updates_of(run)
    phase = (round(run.phase[0] * updates), round(run.phase[1] * updates))
    optimizer = optimizer_of(run, model)
    if run.method and phase[1] > phase[0]:
        _attach(run, model, optimizer, phase if run.phase != ALWAYS else None)
    if run.centre_alone:
        centre_alone(optimizer, conv_weights(model))
    loss, failed_at = fit(run, model, optimizer, used.learned, phase)
    norm = filter_norms(conv_weights(model)).mean().item()
    if failed_at is not None:
        return Outcome(None, None, None, norm, failed_at)
    return Outcome(accuracy(model, used.validated), accuracy(model, used.tested), loss, norm, None)


def parts_of(run: Training, seed: int) -> Parts:
    if run.data == "digits":
        return digit_parts(run.pictures, run.validated, run.tested, seed)
    return parts(Path(run.data), run.pictures, run.validated, run.tested, seed, seen=bool(run.weights))


def updates_of(run: Training) -> int:
    return max(1, round(max(1, run.pictures // run.batch) * run.epochs))


def built(run: Training, learned: Pictures) -> nn.Module:
    """The net with its weights, converted if that is wanted."""
    if run.net not in NETS:
        raise ValueError(f"net={run.net!r} is not one of {', '.join(NETS)}")
    model = NETS[run.net]()
    if run.weights:
        model.load_state_dict(torch.load(Path(run.data) / run.weights, map_location="cpu", weights_only=True))
    if run.convert:
        some = as_input(learned.images[: run.batch])
        model = convert(model, run.convert, lambda net: net(some))
    for weight in conv_weights(model):
        weight.data.mul_(run.initial_scale)
    for module in model.modules():
        if isinstance(module, ScaleBias):
            module.sigma = run.sigma
    return model.to(DEVICE)


def filter_decay_of(run: Training) -> float:
    return run.weight_decay if run.filter_decay is None else run.filter_decay


def optimizer_of(run: Training, model: nn.Module) -> torch.optim.Optimizer:
    """The filters are the first group. Scale-bias layers have no weight decay (constrained paper, section 3.4)."""
    scale_bias = [p for m in model.modules() if isinstance(m, ScaleBias) for p in m.parameters()]
    taken = {id(p) for p in (*conv_weights(model), *scale_bias)}
    others = [p for p in model.parameters() if id(p) not in taken]
    decay = 0.0 if run.method and run.phase != ALWAYS else filter_decay_of(run)
    groups = [
        {"params": conv_weights(model), "weight_decay": decay},
        {"params": others, "weight_decay": run.weight_decay},
        {"params": scale_bias, "weight_decay": 0.0},
    ]
    rate = run.rate * (run.batch / run.rate_is_for_batch if run.rate_is_for_batch else 1)
    return OPTIMIZERS[run.optimizer]([group for group in groups if group["params"]], rate)


def _attach(run: Training, model: nn.Module, optimizer: torch.optim.Optimizer, phase: tuple[int, int] | None) -> None:
    options = {key: value for key, value in run.method.items() if key != "type"}
    if phase is not None:
        options |= {"begin": phase[0], "end": phase[1]}
    attach(optimizer, model, build_method(run.method["type"], options))


def fit(
    run: Training, model: nn.Module, optimizer: torch.optim.Optimizer, learned: Pictures, phase: tuple[int, int]
) -> tuple[float, int | None]:
    """The mean loss of the last tenth of the updates, and the update at which the loss was not finite."""
    schedule = schedule_of(run.schedule, optimizer, updates_of(run))
    losses: list[Tensor] = []
    model.train()
    for update, batch in enumerate(batches(learned, run.batch, run.epochs)):
        if not run.method:
            optimizer.param_groups[0]["weight_decay"] = filter_decay_of(run) if phase[0] <= update < phase[1] else 0.0
        images = batch.images.to(DEVICE)
        images = as_input(augmented(images) if run.augment else images)
        loss = nn.functional.cross_entropy(model(images), batch.labels.to(DEVICE))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.detach())
        if not loss.isfinite():
            return float("nan"), update + 1
    return torch.stack(losses[-max(1, len(losses) // 10) :]).mean().item(), None


def schedule_of(name: str, optimizer: torch.optim.Optimizer, updates: int) -> torch.optim.lr_scheduler.LRScheduler:
    if name == "cosine":
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, updates)
    if name == "constant":
        return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)
    if name == "drops":
        return torch.optim.lr_scheduler.MultiStepLR(optimizer, [round(part * updates) for part in DROPS], 0.1)
    raise ValueError(f"schedule={name!r}: choose 'cosine', 'constant' or 'drops'")


@torch.inference_mode()
def accuracy(model: nn.Module, pictures: Pictures) -> float:
    """In %."""
    model.eval()
    found = [model(as_input(images.to(DEVICE))).argmax(1).cpu() for images in pictures.images.split(500)]
    return 100 * int((torch.cat(found) == pictures.labels).sum()) / len(pictures)
