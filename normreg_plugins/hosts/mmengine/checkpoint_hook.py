"""Checkpoints that are written atomically, and from which a run resumes bit for bit."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from mmengine.dist import all_gather_object, get_rank, get_world_size
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook
from mmengine.registry import HOOKS
from mmengine.runner import EpochBasedTrainLoop, Runner

from normreg_plugins.core.errors import NormRegError
from normreg_plugins.files import atomic_path

BACKEND = "normreg_atomic"
KEY = "random_states"


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
            same weights, bit for bit, as one that was never stopped. mmengine restores the order of the images, but not
            what dropout, noise and augmentation draw. It needs `randomness=dict(seed=...)` and, in a loop by epochs,
            `persistent_workers=False`.
        kwargs: those of mmengine's CheckpointHook.
    """

    file_backend: Any

    def __init__(self, *args: Any, random_states: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._saves_random_states = random_states
        self._next_states: dict[str, Any] | None = None
        """The random states to restore before the next training batch.

        They are set by a save too, so that what a validation draws after it has no effect on training.
        """

    def before_train(self, runner: Runner) -> None:
        super().before_train(runner)
        _warn_of_half_an_epoch(runner)
        if self._saves_random_states:
            _refuse_inexact_resume(runner)
            loop: Any = runner.train_loop
            if not isinstance(loop, EpochBasedTrainLoop):
                loop.dataloader_iterator = TrainingBatches(loop.dataloader_iterator, loop.iter, self._restore)
        if self.file_client_args is None and isinstance(self.file_backend, LocalBackend):
            self.backend_args = {"backend": BACKEND}
            self.file_backend = AtomicBackend()

    def before_train_epoch(self, runner: Runner) -> None:
        if isinstance(runner.train_loop, EpochBasedTrainLoop):
            self._restore()

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        if self._saves_random_states:
            self._next_states = self._next_states or random_states()
            checkpoint[KEY] = all_gather_object(self._next_states)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        if not self._saves_random_states or not runner._resume:
            return
        found = checkpoint.get(KEY, [])
        if len(found) == get_world_size():
            self._next_states = found[get_rank()]
        else:
            runner.logger.warning(
                f"the checkpoint has random states of {len(found)} processes, this run has {get_world_size()}: it "
                "continues with other random numbers"
            )

    def _restore(self) -> None:
        if self._next_states is not None:
            set_random_states(self._next_states)
            self._next_states = None

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


def _refuse_inexact_resume(runner: Runner) -> None:
    if runner._randomness_cfg.get("seed") is None:
        raise NormRegError("random_states=True needs randomness=dict(seed=NUMBER), or the images change their order")
    loop = runner.train_loop
    if isinstance(loop, EpochBasedTrainLoop) and loop.dataloader.persistent_workers:
        raise NormRegError(
            "random_states=True needs train_dataloader=dict(persistent_workers=False): workers that live on have "
            "random states that no checkpoint has"
        )


class TrainingBatches:
    """The batches of a loop by iterations; random states are restored before each that the run has not trained on.

    Args:
        trained: how many batches the loop will skip, because the run has trained on them. They are loaded again, so
            that the workers draw for them too.
    """

    def __init__(self, batches: Any, trained: int, restore: Callable[[], None]) -> None:
        self._batches, self._trained, self._restore = batches, trained, restore

    def __next__(self) -> Any:
        if self._trained:
            self._trained -= 1
        else:
            self._restore()
        return next(self._batches)

    def skip_iter(self, count: int) -> None:
        for _ in range(count):
            next(self)


def random_states() -> dict[str, Any]:
    """The states of Python, NumPy and torch, as plain numbers and tensors."""
    kind, keys, *rest = cast("tuple[Any, ...]", np.random.get_state())  # noqa: NPY002  (mm's pipelines draw from it)
    states = {"python": random.getstate(), "numpy": (kind, keys.tolist(), *rest), "torch": torch.get_rng_state()}
    return {**states, "cuda": torch.cuda.get_rng_state()} if torch.cuda.is_available() else states


def set_random_states(states: dict[str, Any]) -> None:
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])  # noqa: NPY002
    torch.set_rng_state(states["torch"].cpu())
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"].cpu())
