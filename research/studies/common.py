"""What the experiments share: batches of digits, and runs side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn

from research.digits import digits

Run = TypeVar("Run")
Outcome = TypeVar("Outcome")


def side_by_side(train: Callable[[Run], Outcome], runs: Sequence[Run], workers: int, name: str) -> dict[Run, Outcome]:
    """The outcome of every run. Each run has one thread, and `workers` of them run at a time."""
    progress = Console(stderr=True)
    if workers == 1:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        found = [train(run) for run in track(runs, name, console=progress)]
        torch.set_num_threads(threads)
    else:
        with ProcessPoolExecutor(workers, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
            found = list(track(pool.map(train, runs), name, total=len(runs), console=progress))
    return dict(zip(runs, found, strict=True))


def batches(seed: int, size: int, updates: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Random batches of the digits to learn from: images and labels."""
    images, labels, _, _ = digits(seed)
    for _ in range(updates):
        drawn = torch.randint(len(images), (size,))
        yield images[drawn], labels[drawn]


def parameters_besides(model: nn.Module, weights: Sequence[Tensor]) -> list[nn.Parameter]:
    taken = {id(weight) for weight in weights}
    return [parameter for parameter in model.parameters() if id(parameter) not in taken]
