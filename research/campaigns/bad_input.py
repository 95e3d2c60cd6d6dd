"""Give bad input to what reads settings or files of a user: it must be accepted, or refused with a named error.

A named error is one of this package or FileNotFoundError. If the input is a file, the message names it.
Hypothesis draws the settings and the damage to files.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from helpers.training import tiny_net, train
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from PIL import Image
from torch.optim import SGD

from normreg_plugins import WeightRescaling, attach
from normreg_plugins.crowd.data.images import read_rgb
from normreg_plugins.evaluation.detection_files import load_predictions
from normreg_plugins.files import read_numbers
from normreg_plugins.hosts.methods import METHODS, build_method, options_of
from normreg_plugins.monitor import read_run

NUMBERS = (0, -1, 1, 0.5, 1e-45, 1e308, float("nan"), float("inf"), 2**63, 10**400)
WORDS = ("", "initial", "filter", "all", "epoch", "WRS", "0.weight")
ODD = st.one_of(
    st.sampled_from([*NUMBERS, *WORDS, None, True, False, [], {}, ()]),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.none() | st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)
"""A value of any kind, where a certain kind is expected."""


@dataclass(frozen=True)
class Target:
    """What is attacked. `give` takes what `inputs` draws; bytes are written to a file with this suffix."""

    name: str
    inputs: st.SearchStrategy[Any]
    give: Callable[[Any], Any]
    suffix: str = ""


def targets() -> Iterator[Target]:
    """All of them."""
    for name in METHODS:
        known = st.sampled_from([*options_of(name), "intervall", "", "type"])
        yield Target(f"options of {name}", st.dictionaries(known, ODD, max_size=4), partial(make_two_updates, name))
    yield Target("method names", ODD, lambda name: build_method(name, {}))
    radii = st.dictionaries(st.sampled_from(["0.weight", "3.weight", "x"]), ODD, max_size=3)
    entries = ODD | st.fixed_dictionaries({"updates": ODD}, optional={"weights": radii | ODD})
    yield Target("saved state of a method", entries, load_entry)

    arrays: list[np.ndarray] = [np.ones((5, 3), np.float32), np.ones(3), np.array(["a"]), np.array([{}])]
    yield Target("point files", damaged([npy(a) for a in arrays]), lambda p: read_numbers(p, columns=3), ".npy")
    box = json.dumps([{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}]).encode()
    yield Target("detections", damaged([box, b"[" * 50_000]), load_predictions, ".json")
    report = {"step": 1, "norms/mean": 0.5, "layers": {"name": ["0.weight"], "filter_norm": [0.5]}, "rate_law": "sgd"}
    lines = b"".join(json.dumps({**report, "step": step}).encode() + b"\n" for step in (1, 2))
    yield Target("logs", damaged([lines]), read_run, ".jsonl")
    images = [picture(mode, kind) for mode, kind in (("L", "PNG"), ("RGBA", "PNG"), ("RGB", "JPEG"), ("P", "GIF"))]
    yield Target("pictures", damaged(images), read_rgb, ".jpg")


def make_two_updates(method: str, options: dict[str, Any]) -> None:
    net = tiny_net()
    optimizer = SGD(net.parameters(), lr=0.1)
    attach(optimizer, net, build_method(method, options), updates_per_epoch=2)
    train(net, optimizer, 2)


def load_entry(entry: Any) -> None:
    """Load the state of an optimizer whose entry of this package is damaged, and go on."""
    net = tiny_net()
    optimizer = SGD(net.parameters(), lr=0.1, momentum=0.9)
    attach(optimizer, net, WeightRescaling(interval=1, radius="initial"))
    train(net, optimizer, 1)
    state = optimizer.state_dict()
    state["param_groups"][0]["normreg_plugins"] = entry
    optimizer.load_state_dict(state)
    train(net, optimizer, 1)


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def picture(mode: str, kind: str) -> bytes:
    file = io.BytesIO()
    Image.new(mode, (9, 7)).save(file, kind)
    return file.getvalue()


@st.composite
def damaged(draw: st.DrawFn, files: list[bytes]) -> bytes:
    """One of these files after up to four accidents."""
    content = bytearray(draw(st.sampled_from(files)))
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, max(0, len(content) - 1)))
        accident = draw(st.sampled_from(["cut", "byte", "byte", "byte", "length", "zeros", "twice"]))
        if accident == "cut":
            del content[place:]
        elif accident == "byte" and content:
            content[place] = draw(st.integers(0, 255))
        elif accident == "length":
            content[place : place + 4] = draw(st.sampled_from([b"\xff\xff\xff\x7f", b"\x7f\xff\xff\xff"]))
        elif accident == "zeros":
            content[place : place + 16] = bytes(16)
        elif accident == "twice":
            content[place:place] = content[place : place + 32]
    return bytes(content)


def fault(target: Target, value: Any, folder: Path) -> str:
    """What is wrong with how a target took this input; empty if nothing is."""
    path = None
    if isinstance(value, bytes):
        path = folder / f"case{target.suffix}"
        path.write_bytes(value)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            target.give(value if path is None else path)
    except Exception as error:
        if not (type(error).__module__.startswith("normreg_plugins.") or isinstance(error, FileNotFoundError)):
            frame = traceback.extract_tb(error.__traceback__)[-1]
            return f"{type(error).__name__}: {str(error)[:80]} ({Path(frame.filename).name}:{frame.name})"
        if path is not None and path.name not in str(error):
            return f"{type(error).__name__} does not name the file: {error}"
    return ""


def attack(target: Target, cases: int, start: int, folder: Path) -> dict[str, str]:
    """The first input for each kind of fault."""
    found: dict[str, str] = {}

    @seed(start)
    @settings(max_examples=cases, deadline=None, database=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(target.inputs)
    def all_cases(value: Any) -> None:
        if what := fault(target, value, folder):
            found.setdefault(what, repr(value)[:400])

    all_cases()
    return found


def run(cases: int, start: int) -> dict[str, dict[str, str]]:
    """What was found with so many cases in all, divided among the targets."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        chosen = list(targets())
        each = -(-cases // len(chosen))
        return {target.name: attack(target, each, start, Path(name)) for target in chosen}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=2_000, help="in all (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="(%(default)s)")
    args = parser.parse_args()
    outcomes = run(args.cases, args.seed)
    for name, found in outcomes.items():
        print(f"{name}: {len(found)} found")
        for what, example in found.items():
            print(f"  FOUND {what}\n    {example}")
    return int(any(outcomes.values()))


if __name__ == "__main__":
    sys.exit(main())
