"""How costs grow with the number of weights: `python -m research.benchmarks.growth --plot growth.png`.

It times each part on chains of small convolutions with batch norms: to find the weights by structure, to trace a
forward, to prove them by numbers, to attach a method, one pass of WRS, one report of the monitor. The unit is a
training step of the same chain. Its convolutions are so small that such a step is nothing but handling. The exponent
is the slope of the times on log-log axes: 1 is linear. Then it finds and proves the weights of large nets (timm's), in
units of one of their own training steps, and measures how long the import of this package takes beside torch's.
Only the processor time of each process is counted, so that a busy machine matters little.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import timm
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch.optim import SGD

from normreg_plugins import find_scale_invariant, prove_scale_invariant
from normreg_plugins.cli.console import wide_console
from normreg_plugins.plots import MARKERS, OKABE_ITO, log_scale, new_figure, save
from research.benchmarks.ranks import Parts, chain, loss, seconds, training_parts
from research.benchmarks.timing import at_least

IMPORTS = """
from time import process_time as now
begun = now(); import torch
torch_there = now(); import normreg_plugins
print(torch_there - begun, now() - torch_there)
"""


STEP = "training step"


def parts_of(weights: int) -> Iterator[tuple[str, float]]:
    """Seconds of each part for a chain of so many weights, after those of one of its training steps."""
    net, forward = chain(weights), partial(loss, torch.randn(2, 3, 6, 6))
    optimizer = SGD(net.parameters(), lr=1e-3)

    def step() -> None:
        optimizer.zero_grad()
        forward(net).backward()
        optimizer.step()

    step()
    yield STEP, statistics.median(seconds(step) for _ in range(3))
    yield "find by structure", seconds(lambda: find_scale_invariant(net))
    yield "find by tracing a forward", seconds(lambda: find_scale_invariant(net, forward))
    yield "prove by numbers", seconds(lambda: prove_scale_invariant(net, forward))
    yield from training_parts(net, forward)


def growth(counts: Sequence[int], rounds: int) -> dict[int, Parts]:
    """The median seconds of each part, by the number of weights."""
    times: dict[int, dict[str, list[float]]] = {count: {} for count in counts}
    dict(parts_of(counts[0]))  # warms up
    for _ in track(range(rounds), "measuring", console=Console(stderr=True)):
        for count, own in times.items():
            for part, found in parts_of(count):
                own.setdefault(part, []).append(found)
    return {count: {part: statistics.median(found) for part, found in own.items()} for count, own in times.items()}


def exponent(by_count: dict[int, float]) -> float:
    """The slope of a line through the times on log-log axes."""
    x, y = ([math.log(value) for value in values] for values in (by_count, by_count.values()))
    return statistics.linear_regression(x, y).slope


def growth_table(found: dict[int, Parts]) -> Table:
    shown = Table("in training steps of the chain", *(f"{count} weights" for count in found), "exponent")
    for part in next(iter(found.values())):
        steps = (f"{parts[part] / parts[STEP]:.3g}" for parts in found.values())
        shown.add_row(part, *steps, f"{exponent({count: parts[part] for count, parts in found.items()}):.2f}")
    return shown


def plot(found: dict[int, Parts], path: Path) -> None:
    """Each part in training steps of the chain, over the number of weights: a flat line grows as the step does."""
    figure = new_figure(7, 4.5)
    ax = figure.subplots()
    curves = {part: [p[part] / p[STEP] for p in found.values()] for part in next(iter(found.values())) if part != STEP}
    for index, (part, steps) in enumerate(curves.items()):
        ax.plot(list(found), steps, color=OKABE_ITO[index], marker=MARKERS[index], label=part)
    ax.set_xscale("log", base=2)
    ax.set_xticks(list(found), [str(count) for count in found])
    ax.set_yscale("log")
    log_scale(ax.yaxis, min(map(min, curves.values())), max(map(max, curves.values())))
    ax.set_xlabel("conv weights of the net")
    ax.set_ylabel("training steps of the same net")
    ax.grid(alpha=0.25)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncol=2)
    save(figure, path)


def large_net(name: str, size: int) -> list[str]:
    """A row: its weights, and the time to find and to prove them, in training steps of forward and backward."""
    torch.manual_seed(0)
    net, forward = timm.create_model(name).train(), partial(loss, torch.randn(2, 3, size, size))
    forward(net).backward()
    step = statistics.median(seconds(lambda: forward(net).backward()) for _ in range(3))
    verdicts = find_scale_invariant(net)
    parts = [
        seconds(lambda: find_scale_invariant(net)),
        seconds(lambda: find_scale_invariant(net, forward)),
        seconds(lambda: prove_scale_invariant(net, forward)),
    ]
    return [name, str(len(verdicts)), *(f"{part / step:.2f}" for part in parts)]


def costs_of_a_rank(ranks: int, rounds: int) -> Parts:
    """The median seconds that each part takes one rank of so many."""
    with tempfile.TemporaryDirectory() as folder:
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
        command = [*torchrun, "-m", "research.benchmarks.ranks", folder, f"--rounds={rounds}"]
        subprocess.run(command, check=True, capture_output=True)
        found = [times for file in Path(folder).iterdir() for times in json.loads(file.read_text())]
    return {part: statistics.median(times[part] for times in found) for part in found[0]}


def ranks_table(found: dict[int, Parts]) -> Table:
    first, *others = found
    shown = Table(f"one rank, beside one of {first}", *(f"of {ranks}" for ranks in others))
    for part, alone in found[first].items():
        shown.add_row(part, *(f"{found[ranks][part] / alone:.2f} x" for ranks in others))
    return shown


def import_seconds(rounds: int) -> tuple[float, float]:
    """Medians of the processor time that a fresh Python takes to import torch, and then this package."""
    runs = [subprocess.run([sys.executable, "-c", IMPORTS], check=True, capture_output=True) for _ in range(rounds)]
    torch_times, our_times = zip(*(map(float, run.stdout.split()) for run in runs), strict=True)
    return statistics.median(torch_times), statistics.median(our_times)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--weights", type=at_least(1), nargs="+", default=[32, 64, 128, 256, 512], help="lengths of the chains")
    add("--rounds", type=at_least(1), default=3)
    add("--nets", nargs="*", default=["resnet50", "nasnetalarge"], help="names of timm's")
    add("--size", type=int, default=128, help="side of the images that the nets of --nets see")
    add(
        "--ranks",
        type=at_least(1),
        nargs="*",
        default=[],
        help="numbers of processes that train together, such as 1 2 4",
    )
    add("--plot", type=Path, help="picture to write, .png or .svg")
    args = parser.parse_args(argv)
    if len(set(args.weights)) < 2:
        parser.error(f"--weights {args.weights}: give two lengths or more")
    if unknown := set(args.nets) - set(timm.list_models()):
        parser.error(f"--nets {', '.join(sorted(unknown))}: not among timm's models")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    torch.set_num_threads(1)
    console = wide_console()
    found = growth(sorted(set(args.weights)), args.rounds)
    console.print(growth_table(found))
    nets = Table("net", "weights", "find by structure", "trace a forward", "prove")
    for name in args.nets:
        nets.add_row(*large_net(name, args.size))
    if args.nets:
        console.print(f"\nin training steps (forward and backward) of two images of {args.size} px")
        console.print(nets)
    if args.ranks:
        console.print()
        console.print(ranks_table({ranks: costs_of_a_rank(ranks, args.rounds) for ranks in sorted(set(args.ranks))}))
    theirs, ours = import_seconds(args.rounds)
    console.print(f"\nimport normreg_plugins: {100 * ours / theirs:.1f} % of the time of import torch")
    if args.plot is not None:
        plot(found, args.plot)
        console.print(f"picture: {args.plot}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
