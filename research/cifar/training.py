"""One training on CIFAR-10 or another small set with any method, from random weights or a checkpoint, and its scores.

In plain torch; `in_mm` trains by the same words in mmpretrain, at the papers' sizes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from normreg_plugins import attach
from normreg_plugins.hosts.methods import build_method
from normreg_plugins.layers import ScaleBias, assign_linear_sigma, convert
from normreg_plugins.layers.normalization import EPS
from normreg_plugins.layers.normalized import NormalizedWeight, normalize_layer_
from research.cifar.clouds import modelnet_parts, solid_parts, turned_and_jittered
from research.cifar.nets import NETS, NORMS
from research.cifar.on_the_way import OnTheWay
from research.cifar.pictures import Parts, Pictures, as_input, augmented, batches, digit_parts, parts
from research.nets import conv_weights, filter_norms

ALWAYS = (0.0, 1.0)
DROPS = (0.3, 0.6, 0.8)
NAMED = {"digits": digit_parts, "solids": solid_parts, "modelnet40": modelnet_parts}
"""Data that is no folder of pictures."""


@dataclass(frozen=True)
class Training:
    """The settings of a training. `method` is what a config's `regularizer` is; empty for the optimizer alone."""

    data: str = "data/cifar10"
    """The folder of the packed pictures, or 'digits' for those of scikit-learn. Clouds: 'modelnet40' or 'solids'."""
    net: str = "resnet20"
    width: int = 8
    """The filters of the first stage of a CNN."""
    norm: str = "batch"
    """'batch', 'group', 'mean_only' or 'none'."""
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
    rate_times: float = 1.0
    """What the rate is multiplied by, for columns whose rates have another size."""
    optimizer: str = "sgdm"
    schedule: str = "cosine"
    """'cosine', 'constant' or 'drops'."""
    drops: Sequence[float] = DROPS
    """After which parts of the run 'drops' divides the rate by 10."""
    last_rate: float = 0.0
    """Where the cosine ends."""
    smoothing: float = 0.0
    """Of the labels."""
    weight_decay: float = 5e-4
    norm_decay: bool = True
    """Whether the norm layers have weight decay."""
    filter_decay: float | None = None
    """The weight decay of the filters, if it is another than that of the rest."""
    method: Mapping[str, Any] = field(default_factory=dict)
    phase: tuple[float, float] = ALWAYS
    """From which part of the run to which the method acts; without a method, the weight decay of the filters."""
    convert: str = ""
    """'pgd': scale-bias layers instead of batch norms. 'ws', 'wn', ...: convolutions that normalize their weight."""
    guard: float = EPS
    """The lower bound of the deviation that 'ws' divides by; 0 is eq. 25 of the AWS paper as it is written."""
    initial_scale: float = 1.0
    """The filters begin so many times as large."""
    sigma: float = 0.0
    """The noise of the scale-bias layers."""
    noise: str = "constant"
    """'linear': layer l of L has the noise l / L sigma."""
    augment: bool = True
    checkpoints: int = 0
    looks: int = 0
    """How often, on the way, to save the weights, and to measure loss, accuracy, norms and rates; see `OnTheWay`."""


@dataclass(frozen=True)
class Outcome:
    validation: float | None
    """Accuracy in %; None if the training diverged (NaN or Inf)."""
    test: float | None
    test_by_class: float | None
    """The mean of the accuracies of all classes."""
    loss: float | None
    """The mean training loss of the last tenth of the updates."""
    filter_norm: float
    """The mean norm of the filters of all convolutions at the end."""
    first_norm: float
    """Of the first convolution."""
    failed_at: int | None
    """The update after which the loss was not finite."""


OPTIMIZERS: dict[str, tuple[str, dict[str, Any]]] = {
    "sgd": ("SGD", {}),
    "sgdm": ("SGD", {"momentum": 0.9}),
    "nesterov": ("SGD", {"momentum": 0.9, "nesterov": True}),
    "rmsprop": ("RMSprop", {"alpha": 0.9}),  # as in the L2 paper
    "adam": ("Adam", {}),
    "adamw": ("AdamW", {}),
    "adamp": ("AdamP", {}),
}
CLASSIFIER = "classifier"
"""What `output_layers` of a method calls the last layer of any net."""
PIXELS = {
    "cifar10": ((125.3, 123.0, 113.9), (63.0, 62.1, 66.7)),
    "cifar100": ((129.3, 124.1, 112.4), (68.2, 65.4, 70.4)),
}
"""Mean and deviation of the training pictures, by channel."""
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def resolved(settings: Mapping[str, Any]) -> dict[str, Any]:
    """With what `with_pgd` has: settings of a column, such as a rate, that hold with constrained weights only."""
    found = {key: value for key, value in settings.items() if key != "with_pgd"}
    return {**found, **settings.get("with_pgd", {})} if found.get("convert") == "pgd" else found


def training_of(settings: Mapping[str, Any]) -> Training:
    settings = resolved(settings)
    known = {each.name for each in fields(Training)}
    if unknown := sorted(set(settings) - known):
        raise ValueError(f"a training on CIFAR-10 has no setting {unknown[0]!r}; it has {', '.join(sorted(known))}")
    return Training(**settings)


def train(run: Training, seed: int, folder: Path | None = None) -> Outcome:
    """Checkpoints and the monitor's log go to the folder."""
    torch.manual_seed(seed)
    used = parts_of(run, seed)
    model = built(run, used.learned)
    updates = updates_of(run)
    phase = (round(run.phase[0] * updates), round(run.phase[1] * updates))
    optimizer = optimizer_of(run, model)
    if run.method and phase[1] > phase[0]:
        _attach(run, model, optimizer, phase if run.phase != ALWAYS else None)
    on_the_way = OnTheWay(folder, optimizer, model, updates, run.looks, run.checkpoints)
    loss, failed_at = fit(run, model, optimizer, used, phase, on_the_way)
    norm, first = filter_norms(conv_weights(model)).mean().item(), filter_norms(conv_weights(model)[:1]).mean().item()
    if failed_at is not None:
        return Outcome(None, None, None, None, norm, first, failed_at)
    validation = accuracy(model, used.validated) if run.validated else None
    return Outcome(validation, *scores(model, used.tested), loss, norm, first, None)


def parts_of(run: Training, seed: int) -> Parts:
    if run.data in NAMED:
        return NAMED[run.data](run.pictures, run.validated, run.tested, seed)
    return parts(Path(run.data), run.pictures, run.validated, run.tested, seed, seen=bool(run.weights))


def updates_of(run: Training) -> int:
    return max(1, round(max(1, run.pictures // run.batch) * run.epochs))


def built(run: Training, learned: Pictures) -> nn.Module:
    """The net with its weights, converted if that is wanted."""
    if run.net not in NETS:
        raise ValueError(f"net={run.net!r} is not one of {', '.join(NETS)}")
    model = NETS[run.net](width=run.width, norm=NORMS[run.norm])
    if run.weights:
        model.load_state_dict(torch.load(Path(run.data) / run.weights, map_location="cpu", weights_only=True))
    if run.convert == "pgd" or (run.convert and run.weights):
        some = as_input(learned.images[: run.batch])
        model = convert(model, run.convert, lambda net: net(some))
    elif run.convert:
        for module in [module for module in model.modules() if isinstance(module, nn.Conv2d)]:
            normalize_layer_(module, run.convert, torch.ones(1) if run.convert == "bwn" else None, run.guard)
        hold_first_norms_(model)
    for weight in conv_weights(model):
        weight.data.mul_(run.initial_scale)
    for module in model.modules():
        if isinstance(module, ScaleBias):
            module.sigma = run.sigma
    if run.noise == "linear":
        assign_linear_sigma(model, run.sigma)
    return model.to(DEVICE, memory_format=torch.channels_last)  # a fifth faster on a CPU


@torch.no_grad()
def hold_first_norms_(model: nn.Module, begins: bool = True) -> None:
    """Under BWN a weight matrix has the norm that it begins with (Hoffer et al. 2018). The layer's own is sqrt(O)."""
    for module in model.modules():
        if isinstance(module, NormalizedWeight) and module.normalizes_weight == "matrix":
            assert module.gain is not None
            if begins:
                module.gain.copy_(module.normalization.filters(module).norms(module.weight).flatten())
            module.gain.requires_grad_(False)


def filter_decay_of(run: Training) -> float:
    return run.weight_decay if run.filter_decay is None else run.filter_decay


def optimizer_of(run: Training, model: nn.Module) -> torch.optim.Optimizer:
    """The filters are the first group. Scale-bias layers have no weight decay (constrained paper, section 4.1.1)."""
    layers = (ScaleBias,) if run.norm_decay else (ScaleBias, nn.BatchNorm2d, nn.GroupNorm)
    undecayed = [p for m in model.modules() if isinstance(m, layers) for p in m.parameters()]
    taken = {id(p) for p in (*conv_weights(model), *undecayed)}
    others = [p for p in model.parameters() if id(p) not in taken]
    own = run.method.get("type", "WD") == "WD" or run.phase == ALWAYS
    decay = filter_decay_of(run) if own else 0.0
    groups = [
        {"params": conv_weights(model), "weight_decay": decay},
        {"params": others, "weight_decay": run.weight_decay},
        {"params": undecayed, "weight_decay": 0.0},
    ]
    rate = run.rate * run.rate_times * (run.batch / run.rate_is_for_batch if run.rate_is_for_batch else 1)
    name, options = OPTIMIZERS[run.optimizer]
    groups = [group for group in groups if group["params"]]
    if name == "AdamP":
        from timm.optim import AdamP  # takes a while

        return AdamP(groups, rate, **options)
    return getattr(torch.optim, name)(groups, rate, **options)


def method_of(method: Mapping[str, Any], classifier: str) -> dict[str, Any]:
    """The method with the classifier by the name that it has in this net."""
    if method.get("output_layers") == CLASSIFIER:
        return {**method, "output_layers": classifier}
    return dict(method)


def _attach(run: Training, model: nn.Module, optimizer: torch.optim.Optimizer, phase: tuple[int, int] | None) -> None:
    classifier = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)][-1]
    options = method_of(run.method, classifier)
    name = options.pop("type")
    if phase is not None:
        options |= {"begin": phase[0], "end": phase[1]}
    attach(optimizer, model, build_method(name, options))


def fit(
    run: Training,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    used: Parts,
    phase: tuple[int, int],
    on_the_way: OnTheWay,
) -> tuple[float, int | None]:
    """The mean loss of the last tenth of the updates, and the update at which the loss was not finite."""
    schedule = schedule_of(run.schedule, optimizer, updates_of(run), run.last_rate, run.drops)
    change = turned_and_jittered if used.learned.images.is_floating_point() else augmented
    losses: list[Tensor] = []
    model.train()
    for update, batch in enumerate(batches(used.learned, run.batch, run.epochs)):
        if not run.method:
            optimizer.param_groups[0]["weight_decay"] = filter_decay_of(run) if phase[0] <= update < phase[1] else 0.0
        images = batch.images.to(DEVICE)
        images = as_input(change(images) if run.augment else images)
        loss = nn.functional.cross_entropy(model(images), batch.labels.to(DEVICE), label_smoothing=run.smoothing)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.detach())
        if not loss.isfinite():
            return float("nan"), update + 1
        on_the_way.after(update + 1, loss.detach(), lambda: accuracy(model, used.validated))
    return torch.stack(losses[-max(1, len(losses) // 10) :]).mean().item(), None


def schedule_of(
    name: str, optimizer: torch.optim.Optimizer, updates: int, last: float = 0.0, drops: Sequence[float] = DROPS
) -> torch.optim.lr_scheduler.LRScheduler:
    if name == "cosine":
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, updates, last)
    if name == "constant":
        return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)
    if name == "drops":
        return torch.optim.lr_scheduler.MultiStepLR(optimizer, [round(part * updates) for part in drops], 0.1)
    raise ValueError(f"schedule={name!r}: choose 'cosine', 'constant' or 'drops'")


@torch.inference_mode()
def scores(model: nn.Module, pictures: Pictures) -> tuple[float, float]:
    """The accuracy, and the mean of the accuracies of all classes, in %."""
    model.eval()
    found = [model(as_input(images.to(DEVICE))).argmax(1).cpu() for images in pictures.images.split(100)]
    right = torch.cat(found) == pictures.labels
    each = [right[pictures.labels == label].double().mean() for label in pictures.labels.unique()]
    return 100 * int(right.sum()) / len(pictures), 100 * torch.stack(each).mean().item()


def accuracy(model: nn.Module, pictures: Pictures) -> float:
    return scores(model, pictures)[0]
