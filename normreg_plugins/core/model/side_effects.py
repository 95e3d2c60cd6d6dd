"""Run a model's training forward without leaving a trace: buffers, modes, gradients and random states come back."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import nn


@contextmanager
def training_mode(model: nn.Module) -> Iterator[None]:
    """Put the model in training mode, then back. A model's own `train()` may keep some norm layers frozen."""
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
"""The models whose forwards now leave no trace."""


def is_restored(model: nn.Module) -> bool:
    """Whether a forward of this model that runs now leaves no trace, and so is no part of the training."""
    return any(model is each for each in _restored)


@contextmanager
def restored(model: nn.Module) -> Iterator[None]:
    """Whatever runs in this context changes neither the model's state nor any random state."""
    buffers = [(module, name, b) for module in model.modules() for name, b in module._buffers.items() if b is not None]
    kept = [b.detach().clone() for _, _, b in buffers]
    gradients = [(p, p.grad) for p in model.parameters()]
    with ExitStack() as stack:
        stack.enter_context(same_randomness())
        stack.enter_context(training_mode(model))
        stack.enter_context(_eager())
        for parameter, _ in gradients:
            parameter.grad = None
        _restored.append(model)
        try:
            yield
        finally:
            _restored.remove(model)
            for (module, name, buffer), value in zip(buffers, kept):
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


@contextmanager
def _eager() -> Iterator[None]:
    """Run a compiled model uncompiled, because compiled code hides its operations (torch >= 2.6 offers this)."""
    set_stance = getattr(torch.compiler, "set_stance", None)
    if set_stance is None:
        yield
        return
    with set_stance("force_eager"):
        yield
