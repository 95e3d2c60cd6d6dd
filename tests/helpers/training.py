"""A small real training: the same batches wherever it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD, Optimizer

from normreg_plugins import Handle, Method, attach
from normreg_plugins.core.training import handle_of


def tiny_net(seed: int = 0) -> nn.Sequential:
    """Two normalized convs, one with a bias, and a classifier. `0.weight` and `3.weight` are scale invariant."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Conv2d(6, 8, 3),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 4),
    )


INVARIANT = ("0.weight", "3.weight")


class Run(NamedTuple):
    net: nn.Module
    optimizer: Optimizer
    handle: Handle


def sgd(parameters: Iterable[Tensor]) -> SGD:
    return SGD(parameters, lr=0.1)


def attached(method: Method, make: Callable[..., Optimizer] = sgd, net: nn.Module | None = None, **options: Any) -> Run:
    """A method on an optimizer of a net, `tiny_net()` by default."""
    net = tiny_net() if net is None else net
    optimizer = make(net.parameters())
    return Run(net, optimizer, attach(optimizer, net, method, **options))


def batch(index: int, size: int = 8) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1000 + index)
    labels = torch.randint(4, (size,), generator=generator)
    shift = labels.view(-1, 1, 1, 1) * torch.linspace(-1, 1, 8)
    return torch.randn(size, 3, 8, 8, generator=generator) + shift, labels


def loss_on(net: nn.Module, index: int) -> Tensor:
    images, labels = batch(index)
    images = images.to(next(net.parameters()))
    return F.cross_entropy(net(images), labels.to(images.device))


def see_batch(net: nn.Module) -> Tensor:
    return loss_on(net, 0)


def train(net: nn.Module, optimizer: Optimizer, updates: int, first: int = 0) -> None:
    for index in range(first, first + updates):
        optimizer.zero_grad()
        loss_on(net, index).backward()
        optimizer.step()


def decays_in_a_step(net: nn.Module, optimizer: Optimizer) -> dict[str, float]:
    """The weight decay that each parameter has while a step with an attached method runs."""
    decay = handle_of(optimizer)._decay
    decay.before_step(beside=False, off=False)
    held = [(id(p), group["weight_decay"]) for group in optimizer.param_groups for p in group["params"]]
    decay.after_step()
    assert len(held) == len(dict(held))  # each parameter is in one group
    return {name: dict(held)[id(p)] for name, p in net.named_parameters()}


def set_gradients(net: nn.Module, value: float = 0.0) -> None:
    for p in net.parameters():
        p.grad = torch.full_like(p, value)


def lengths(net: nn.Module, name: str = "0.weight") -> Tensor:
    """Of the filters of a conv or linear layer."""
    return net.get_parameter(name).detach().flatten(1).norm(dim=1)


def are_unit(net: nn.Module, name: str = "0.weight", radius: float = 1.0) -> bool:
    found = lengths(net, name)
    return torch.allclose(found, torch.full_like(found, radius), rtol=1e-6)


def same_state(one: nn.Module, other: nn.Module) -> bool:
    """Bit by bit, running statistics included."""
    first, second = one.state_dict(), other.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def unit_after(net: nn.Module, updates: int, step: Callable[[int], None]) -> list[int]:
    """The updates, counted from 1, after which the first conv's filters had norm 1."""
    found = []
    for update in range(1, updates + 1):
        step(update)
        if are_unit(net):
            found.append(update)
    return found
