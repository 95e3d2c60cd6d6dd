"""A reader who follows one update meets few files."""

import sys
from pathlib import Path
from types import FrameType
from typing import Any

from helpers.training import loss_on, tiny_net, train
from torch.optim import SGD

import normreg_plugins
from normreg_plugins import WeightRescaling, attach

PACKAGE = str(Path(normreg_plugins.__file__).parent)


def files_of_one_step(updates_before: int) -> set[str]:
    """The files of the package in which a line runs during `optimizer.step()`, under WRS with interval 2."""
    net = tiny_net()
    optimizer = SGD(net.parameters(), lr=0.1, weight_decay=1e-4)
    attach(optimizer, net, WeightRescaling(interval=2))
    train(net, optimizer, updates_before)
    loss_on(net, updates_before).backward()
    files: set[str] = set()

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        if event == "line":
            files.add(frame.f_code.co_filename.removeprefix(PACKAGE))
        return trace

    step, before = optimizer.step, sys.gettrace()
    sys.settrace(trace)
    try:
        step()
    finally:
        sys.settrace(before)
    return files


def test_an_update_visits_few_files() -> None:
    acts, does_not_act = files_of_one_step(3), files_of_one_step(2)
    print(sorted(acts), sorted(does_not_act))
    assert "/core/methods/wrs.py" in acts - does_not_act
    assert len(acts) <= 8
    assert len(does_not_act) <= 5
