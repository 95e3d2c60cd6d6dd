"""Time functions in turns in one process, so that a busy machine slows all equally; ratios and peak memory."""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from rich.console import Console
from rich.progress import track

Work = Mapping[Any, Callable[[], Any]]
Times = dict[Any, list[float]]
"""Seconds of each function in each round."""


def interleaved(work: Work, rounds: int, clock: Callable[[], float] = time.perf_counter) -> Times:
    """Call the functions in turns. The first round warms up and is dropped."""
    times: Times = {name: [] for name in work}
    for _ in track(range(rounds + 1), "measuring", console=Console(stderr=True)):
        for name, function in work.items():
            _synchronize()
            start = clock()
            function()
            _synchronize()
            times[name].append(clock() - start)
    return {name: found[1:] for name, found in times.items()}


def _synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def ratios(mine: list[float], base: list[float]) -> list[float]:
    """Round by round, what took turns."""
    return [one / other for one, other in zip(mine, base, strict=True)]


def spread(values: list[float]) -> tuple[str, str]:
    """The median and the quartiles, for a table."""
    low, middle, high = statistics.quantiles(values, n=4) if len(values) > 1 else values * 3
    return f"{middle:.2f}", f"{low:.2f} - {high:.2f}"


def peak_memory(function: Callable[[], Any]) -> int:
    """The most bytes that one call allocates on top of what was there before."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    if torch.cuda.is_available():
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=activities, profile_memory=True) as profile:
        function()
    recorded: Any = profile.profiler
    changes = (event for event in recorded.kineto_results.events() if event.name() == "[memory]")
    in_order = sorted(changes, key=lambda event: event.start_ns() if hasattr(event, "start_ns") else event.start_us())
    return max(0, *itertools.accumulate((event.nbytes() for event in in_order), initial=0))


def at_least(least: int) -> Callable[[str], int]:
    """The type of an option that is an integer of `least` or more."""

    def number(text: str) -> int:
        if int(text) < least:
            raise argparse.ArgumentTypeError(f"{text}: must be {least} or more")
        return int(text)

    return number
