"""What the experiments share: batches of digits, runs side by side, and results that are saved whole."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import torch
from compare_digits import digits
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn

Run = TypeVar("Run")
Outcome = TypeVar("Outcome")


def side_by_side(train: Callable[[Run], Outcome], runs: Sequence[Run], workers: int, name: str) -> dict[Run, Outcome]:
    """Every run with what came out of it; each runs in one thread, `workers` of them at a time."""
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
    """Images and labels of the digits to learn, drawn at random."""
    images, labels, _, _ = digits(seed)
    for _ in range(updates):
        drawn = torch.randint(len(images), (size,))
        yield images[drawn], labels[drawn]


def mean_and_error(values: Sequence[float], digits: int = 1) -> str:
    """Mean and, of several values, their standard deviation."""
    mean = f"{statistics.mean(values):.{digits}f}"
    return f"{mean} ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else mean


def parameters_besides(model: nn.Module, weights: Sequence[Tensor]) -> list[nn.Parameter]:
    taken = {id(weight) for weight in weights}
    return [parameter for parameter in model.parameters() if id(parameter) not in taken]


def save_json(content: Any, path: Path) -> str:
    """Write the numbers whole or not at all, and say so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    said = f"numbers{' (replaced)' if path.exists() else ''}: {path}"
    unfinished = path.with_suffix(f".{os.getpid()}.json")
    unfinished.write_text(json.dumps(content, indent=2) + "\n")
    unfinished.replace(path)
    return said
