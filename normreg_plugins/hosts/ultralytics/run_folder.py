"""What a run says about its method: to the log, to its folder and to its loggers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from torch import nn
from torch.optim import Optimizer
from ultralytics.engine.trainer import BaseTrainer
from ultralytics.utils import LOGGER, colorstr

from normreg_plugins.core import Handle
from normreg_plugins.files import atomic_path, write_text
from normreg_plugins.hosts.ultralytics.parameter_groups import decayed_counts
from normreg_plugins.monitor import norm_summary, rate_at_start

PREFIX = colorstr("normreg:")
VERDICTS_FILE = "verdicts.txt"


class WholePath(type(Path())):  # type: ignore[misc]  # before Python 3.12 Path itself cannot be a base
    """A path that the trainer writes checkpoints to: the file is the old one or the new one, never half of it."""

    def write_bytes(self, data: Any) -> int:
        with atomic_path(Path(self)) as unfinished:
            return unfinished.write_bytes(data)


@contextmanager
def copies_of_checkpoints(trainer: BaseTrainer) -> Iterator[None]:
    """Give the trainer copies of `last.pt` and `best.pt` to write over. In the end they take the place of the files.

    After the last epoch the host writes both files anew, in place and without the optimizer.
    """
    paths = {name: path for name in ("last", "best") if (path := getattr(trainer, name)).exists()}
    with ExitStack() as stack:
        try:
            for name, path in paths.items():
                copy = stack.enter_context(atomic_path(path))
                shutil.copyfile(path, copy)
                setattr(trainer, name, copy)
            yield
        finally:
            vars(trainer).update(paths)


def tell(handle: Handle, optimizer: Optimizer, model: nn.Module) -> None:
    """Say in the log which weights a method acts on, and what is decayed."""
    method = handle.method
    targets = f"{len(handle.targets)} of {handle.verdicts.summary()}"
    LOGGER.info(f"{PREFIX} {method!r} acts on {targets}; all in {VERDICTS_FILE}")
    counts = decayed_counts(optimizer, model, (model.get_parameter(name) for name in handle.targets))
    decayed = ", ".join(f"{kind} {count}" for kind, count in counts.items())
    LOGGER.info(f"{PREFIX} parameters with weight decay: {decayed} (decay_on={method.decay_on!r})")
    handle.on_first_forward(_tell_rate)  # not on resume


def _tell_rate(handle: Handle) -> None:
    if change := rate_at_start(handle):
        LOGGER.info(f"{PREFIX} {change}")


def write_verdicts(handle: Handle, folder: Path) -> None:
    """Say in full in the run folder which weights a method acts on."""
    left = "".join(f"\n  {name}: {why}" for name, why in handle.left_alone.items())
    text = f"{handle.verdicts}\n\n{handle.method!r} leaves alone:{left or ' nothing'}\n"
    write_text(folder / VERDICTS_FILE, text)


def norm_scalars(handle: Handle, model: nn.Module) -> dict[str, float]:
    """The norms of all filters it acts on, under names for results.csv and other loggers."""
    scalars = {**norm_summary(model, handle.targets), "updates": float(handle.updates)}
    return {f"norms/{name}": value for name, value in scalars.items()}
