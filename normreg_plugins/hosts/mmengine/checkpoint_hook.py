"""Checkpoints that are written atomically, and from which a run resumes bit for bit."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from mmengine.dist import all_gather_object, get_rank
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook
from mmengine.registry import HOOKS
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch.utils.data import DataLoader

from normreg_plugins.core.errors import NormRegError
from normreg_plugins.files import atomic_path

BACKEND = "normreg_atomic"
KEY = "random_states"
States = dict[str, Any]


@register_backend(BACKEND)
class AtomicBackend(LocalBackend):
    """The local disk, with atomic writes."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        with atomic_path(Path(filepath)) as unfinished:
            unfinished.write_bytes(obj)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = "utf-8") -> None:
        self.put(obj.encode(encoding), filepath)


@HOOKS.register_module()
class NormRegCheckpointHook(CheckpointHook):
    """mmengine's CheckpointHook with atomic writes and, as an option, random states.

        default_hooks = dict(checkpoint=dict(type="NormRegCheckpointHook", interval=1, max_keep_ckpts=3))

    mmengine removes an outdated checkpoint before it writes the next one. With `max_keep_ckpts=1`, a run that is killed
    in between has no checkpoint; use 2 or more.

    Args:
        random_states: save the random states of every rank too. A run that is killed and resumed then ends with the
            same weights, bit for bit, as one that was never stopped. It needs `randomness=dict(seed=...)` and, in a
            loop by epochs, `persistent_workers=False`.
        kwargs: those of mmengine's CheckpointHook.
    """

    file_backend: Any

    def __init__(self, *args: Any, random_states: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._continuation = Continuation() if random_states else None

    def before_train(self, runner: Runner) -> None:
        super().before_train(runner)
        _warn_of_half_an_epoch(runner)
        if self._continuation is not None:
            self._continuation.begin(runner)
        if self.file_client_args is None and isinstance(self.file_backend, LocalBackend):
            self.backend_args = {"backend": BACKEND}
            self.file_backend = AtomicBackend()

    def before_train_epoch(self, runner: Runner) -> None:
        if self._continuation is not None:
            self._continuation.begin_epoch(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        if self._continuation is not None:
            self._continuation.save(checkpoint)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        if self._continuation is not None and runner._resume:
            self._continuation.load(checkpoint, runner)

    def _save_best_checkpoint(self, runner: Runner, metrics: dict[str, Any]) -> None:
        """Choose none if there is no score to choose by: mmdet logs no mAP while a model detects nothing."""
        chosen_by = self.key_indicators if self.save_best else []
        if missing := [score for score in chosen_by if score not in {*metrics, "auto"}]:
            runner.logger.warning(f"no best checkpoint is chosen this time: validation gave no {', '.join(missing)}")
        else:
            super()._save_best_checkpoint(runner, metrics)


def _warn_of_half_an_epoch(runner: Runner) -> None:
    loop = runner.train_loop
    if isinstance(loop, EpochBasedTrainLoop) and (done := loop.iter - loop.epoch * len(loop.dataloader)):
        runner.logger.warning(
            f"the checkpoint is from the middle of epoch {loop.epoch + 1}, {done} of {len(loop.dataloader)} iterations "
            "into it. mmengine repeats that epoch from its start, so this run makes more updates than one that was not "
            "stopped. Resume from the end of an epoch, or train by iterations."
        )


class Continuation:
    """Lets training draw after a checkpoint the random numbers that the run which saved it drew, on every rank.

    mmengine restores the order of the images, but not what dropout, noise and augmentation draw. What is drawn between
    a checkpoint and the next batch, by a validation for example, has no effect on training.
    """

    def __init__(self) -> None:
        self._next: States | None = None
        """The states before the next training batch; None for whatever they are then."""

    def save(self, checkpoint: dict[str, Any]) -> None:
        self._next = self._next or random_states()
        checkpoint[KEY] = all_gather_object(self._next)

    def load(self, checkpoint: dict[str, Any], runner: Runner) -> None:
        found = checkpoint.get(KEY)
        ranks = len(all_gather_object(None))
        if found is None or len(found) != ranks:
            has = "no random states" if found is None else f"the random states of {len(found)} processes, not {ranks}"
            runner.logger.warning(f"the checkpoint has {has}: the run goes on with other random numbers")
            return
        self._next = found[get_rank()]

    def begin(self, runner: Runner) -> None:
        if runner._randomness_cfg.get("seed") is None:
            raise NormRegError(
                "random_states=True needs randomness=dict(seed=NUMBER), or the images change their order"
            )
        loop = runner.train_loop
        if not isinstance(loop, EpochBasedTrainLoop):
            loop.dataloader_iterator = ResumedBatches(loop.dataloader_iterator, loop.dataloader, self, loop.iter)
        elif loop.dataloader.persistent_workers:
            raise NormRegError(
                "random_states=True needs train_dataloader=dict(persistent_workers=False): workers that live on have "
                "random states that no checkpoint has"
            )

    def begin_epoch(self, runner: Runner) -> None:
        if isinstance(runner.train_loop, EpochBasedTrainLoop):
            self.restore()

    def restore(self) -> None:
        if self._next is not None:
            set_random_states(self._next)
            self._next = None


class ResumedBatches:
    """The batches of a loop by iterations. Before the first new batch, the random states are restored.

    Args:
        done: how many batches the loop will skip, because the run has trained on them.
    """

    def __init__(self, batches: Any, loader: DataLoader, states: Continuation, done: int) -> None:
        self._batches, self._loader, self._states = batches, loader, states
        self._old = 0 if hasattr(batches, "skip_iter") else done  # mmengine 0.10.7 takes them one by one

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self._old:
            self._old -= 1
        else:
            self._states.restore()
        return next(self._batches)

    def skip_iter(self, count: int) -> None:
        """Workers draw random numbers for every image, so they reach the same states only if they load it again."""
        if self._loader.num_workers == 0:
            self._batches.skip_iter(count)
        else:
            for _ in range(count):
                next(self._batches)


def random_states() -> States:
    """The states of Python, NumPy and torch, as plain numbers and tensors."""
    version, numbers, gauss = random.getstate()
    kind, keys, *rest = cast("tuple[Any, ...]", np.random.get_state())  # noqa: NPY002  (mm's pipelines draw from it)
    states = {
        "python": [version, torch.tensor(numbers), gauss],
        "numpy": [kind, torch.tensor(keys.astype(np.int64)), *rest],
        "torch": torch.get_rng_state(),
    }
    return {**states, "cuda": torch.cuda.get_rng_state()} if torch.cuda.is_available() else states


def set_random_states(states: States) -> None:
    version, numbers, gauss = states["python"]
    random.setstate((version, tuple(numbers.tolist()), gauss))
    kind, keys, *rest = states["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    torch.set_rng_state(states["torch"].cpu())
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"].cpu())
