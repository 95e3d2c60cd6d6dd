"""Trace the first training forward of a model, then remove the hooks."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils.hooks import RemovableHandle

from normreg_plugins.core.model import is_restored, layers_of
from normreg_plugins.core.old_torch import is_compiling
from normreg_plugins.core.training.gradients import LayerInputs
from normreg_plugins.core.verdicts import FilterTrace, WeightReport, reports_of

_tracing: set[FirstForward] = set()
"""Kept alive while a forward runs: if the optimizer and all that hangs on it were collected in the middle of it, the
trace would be taken off torch's stack of modes at the wrong place, and could stay on for good."""


class FirstForward:
    """Traces the first training forward of a model, then removes its hooks.

    Its hooks are torch's global ones, not the model's own: the model stays plain, and so do its copies and pickles.

    Args:
        begin: called before that forward.
        done: called after it with the reports; None if nothing has to be traced.
        inputs: sees what norm layers get, forward after forward, until `stop_measuring`.
    """

    def __init__(
        self,
        model: nn.Module,
        begin: Callable[[], None],
        done: Callable[[list[WeightReport]], None] | None,
        inputs: LayerInputs,
    ) -> None:
        self._model = weakref.ref(model)
        self._begin_with, self._done = begin, done
        self._inputs: LayerInputs | None = inputs
        self._trace: FilterTrace | None = None
        self._running: AbstractContextManager | None = None
        self._is_over = False
        self._handles: list[RemovableHandle] = []
        if not hasattr(model, "_orig_mod"):  # a compiled model cannot be traced, and torch warns of global hooks on it
            self._handles += [
                register_module_forward_pre_hook(_weak(self._begin, self._handles)),
                register_module_forward_hook(_weak(self._finish, self._handles), always_call=True),
            ]

    def stop_measuring(self) -> None:
        self._inputs = None
        if self._is_over:
            self.remove()

    def remove(self) -> None:
        _remove_all(self._handles)

    def _begin(self, model: nn.Module, args: Any) -> None:
        if model is not self._model() or not model.training or self._running is not None or self._is_over:
            return
        if is_restored(model) or torch.jit.is_tracing():
            return  # this forward only serves to trace or prove something
        self._begin_with()
        if self._done is None:
            self._end()
            return
        self._trace = FilterTrace(model, layers_of(model))
        self._running = self._trace.tracing()
        self._running.__enter__()
        _tracing.add(self)

    def _finish(self, model: nn.Module, args: Any, output: Any) -> None:
        whole = self._model()
        if self._inputs is not None and whole is not None and not is_restored(whole):
            self._inputs.see(model, args, output)
        if model is not whole or self._running is None:
            return
        self._running.__exit__(None, None, None)
        _tracing.discard(self)
        trace, self._trace, self._running = self._trace, None, None
        if output is not None and trace is not None and self._done is not None:
            self._end()
            self._done(reports_of(trace, output))

    def _end(self) -> None:
        self._is_over = True
        if self._inputs is None:
            self.remove()


def _weak(method: Callable[..., None], handles: list[RemovableHandle]) -> Callable[..., None]:
    """A global hook that does not keep alive the object it serves, and removes its ``handles`` at a call after its end.

    Not at the end itself: the garbage collector may bring it while another model compiles, and Dynamo then looks for
    the hook that it has just traced.
    """
    reference = weakref.WeakMethod(method)

    def call(*args: Any) -> None:
        if is_compiling():
            return  # the compiler cannot trace what follows, and it would break the graph of any other model too
        alive = reference()
        if alive is None:
            _remove_all(handles)
        else:
            alive(*args)

    return call


def _remove_all(handles: list[RemovableHandle]) -> None:
    for handle in handles:
        handle.remove()
    handles.clear()
