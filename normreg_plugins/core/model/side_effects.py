"""Run a model's training forward without side effects: buffers, modes, gradients and random states are restored."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_flatten

from normreg_plugins.core.old_torch import eager


@contextmanager
def training_mode(model: nn.Module) -> Iterator[None]:
    """Training mode, restored on exit. A model's own `train()` may leave some norm layers frozen."""
    with _modes_restored(model):
        model.train()
        yield


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    with _modes_restored(model):
        model.eval()
        yield


@contextmanager
def _modes_restored(model: nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


_restored: list[nn.Module] = []
"""The models whose forwards have no side effects now."""


def is_restored(model: nn.Module) -> bool:
    """Whether a forward of this model that runs now is without side effects, and so not part of the training."""
    return any(model is each for each in _restored)


@contextmanager
def restored(model: nn.Module) -> Iterator[None]:
    """Run the model in training mode; restore its buffers, modes, gradients and all random states on exit."""
    buffers = [(module, name, b) for module in model.modules() for name, b in module._buffers.items() if b is not None]
    saved = [b.detach().clone() for _, _, b in buffers]
    gradients = [(p, p.grad) for p in model.parameters()]
    with ExitStack() as stack:
        stack.enter_context(same_randomness())
        stack.enter_context(training_mode(model))
        stack.enter_context(eager())
        for parameter, _ in gradients:
            parameter.grad = None
        _restored.append(model)
        try:
            yield
        finally:
            _restored.remove(model)
            for (module, name, buffer), value in zip(buffers, saved):
                if buffer.shape != value.shape:  # an observer's, which grows at the first call
                    buffer.resize_(value.shape)
                buffer.detach().copy_(value)
                module._buffers[name] = buffer
            for parameter, gradient in gradients:
                parameter.grad = gradient


@contextmanager
def same_randomness() -> Iterator[None]:
    """Restore the random states a forward may draw from: torch on all devices, Python, and numpy if it is loaded."""
    numpy = sys.modules.get("numpy")
    python_state = random.getstate()
    numpy_state = numpy.random.get_state() if numpy else None
    try:
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            yield
    finally:
        random.setstate(python_state)
        if numpy:
            numpy.random.set_state(numpy_state)


def leaves_of(outputs: Any) -> Iterator[Any]:
    """What a forward returned, taken apart. torch's trees leave dataclasses and other classes of dicts whole."""
    for leaf in tree_flatten(outputs)[0]:
        if isinstance(leaf, Mapping):
            yield from leaves_of([*leaf.values()])
        elif is_dataclass(leaf):
            yield from leaves_of([getattr(leaf, each.name) for each in fields(leaf)])
        else:
            yield leaf
