"""Random states in mmengine's checkpoints, so that a resumed run draws the random numbers that it would have drawn.

mmengine restores the order of the images. What dropout, noise and augmentation draw it does not restore.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_gather_object, get_rank
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch.utils.data import DataLoader

from normreg_plugins.core.errors import NormRegError

KEY = "random_states"
BETWEEN_EPOCHS = 1_000_003
"""How far apart the worker seeds of two epochs are: further than those of the workers of one epoch."""
States = dict[str, Any]


def random_states() -> States:
    """Those of Python, NumPy and torch, as plain numbers and tensors."""
    version, numbers, gauss = random.getstate()
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002  (mm's pipelines draw from it)
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


class Continuation:
    """Lets training draw after a checkpoint what it drew in the run that wrote it, on every rank.

    What is drawn between a checkpoint and the next batch, by a validation for example, has no effect on training. So it
    does not matter that a resumed run leaves it out.
    """

    def __init__(self) -> None:
        self._next: States | None = None
        """What the next batch of training begins with; None if that is whatever the states are then."""

    def save(self, checkpoint: dict[str, Any]) -> None:
        self._next = self._next or random_states()
        checkpoint[KEY] = all_gather_object(self._next)

    def load(self, checkpoint: dict[str, Any], runner: Runner) -> None:
        found = checkpoint.get(KEY)
        ranks = len(all_gather_object(None))
        if found is None or len(found) != ranks:
            held = "no random states" if found is None else f"the random states of {len(found)} processes, not {ranks}"
            runner.logger.warning(f"the checkpoint holds {held}: the run goes on with random numbers of its own")
            return
        self._next = found[get_rank()]

    def begin(self, runner: Runner) -> None:
        if runner._randomness_cfg.get("seed") is None:
            raise NormRegError(
                "random_states=True: must come with randomness=dict(seed=NUMBER); without it mmengine orders the "
                "images of a resumed run anew"
            )
        loop = runner.train_loop
        if not isinstance(loop, EpochBasedTrainLoop):
            loop.dataloader_iterator = Continued(loop.dataloader_iterator, loop.dataloader, self, loop.iter)

    def begin_epoch(self, runner: Runner) -> None:
        if isinstance(runner.train_loop, EpochBasedTrainLoop):
            seed_workers(runner.train_dataloader, runner.epoch)
            self.restore()

    def restore(self) -> None:
        if self._next is not None:
            set_random_states(self._next)
            self._next = None


class Continued:
    """The batches of a loop by iterations. Before the first batch that is new, the random states come back.

    Args:
        done: how many batches the loop will take, and throw away, because the run had them before.
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
        """Worker processes draw for every image they load. They reach the same states only if they load them again."""
        if self._loader.num_workers == 0:
            self._batches.skip_iter(count)
        else:
            for _ in range(count):
                next(self._batches)


def seed_workers(loader: DataLoader, epoch: int) -> None:
    """Start the workers of an epoch anew, with a seed of that epoch's own.

    mmengine seeds workers when they start: once in a run, or with the same seed in each epoch.
    """
    start: Any = loader.worker_init_fn
    if loader.num_workers == 0 or not isinstance(start, partial) or "seed" not in start.keywords:
        return
    first = getattr(start, "first_seed", start.keywords["seed"])
    seed = (first + BETWEEN_EPOCHS * epoch) % 2**31
    again: Any = partial(start.func, *start.args, **{**start.keywords, "seed": seed})
    again.first_seed = first
    loader.worker_init_fn = again
    loader._iterator = None  # workers that persist are of the epoch before
