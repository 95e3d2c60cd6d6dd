"""A user's own method: one short class and one registration, and it runs, counts and resumes in every host."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.training import lengths, tiny_net, train
from torch.optim import SGD

from normreg_plugins import attach, register_method
from normreg_plugins.hosts import methods

ROOT = Path(__file__).resolve().parents[2]


SHOWN = re.search(r"^```python\n(.*?)^register_method", (ROOT / "docs/own_method.md").read_text(), re.M | re.S)
page: dict[str, Any] = {"__name__": __name__}
exec(SHOWN[1], page)  # the class as the page shows it
NormCap = page["NormCap"]


@pytest.fixture(autouse=True)
def _registered():
    before = dict(methods.METHODS)
    register_method("NormCap", NormCap)
    yield
    methods.METHODS.clear()
    methods.METHODS.update(before)


def test_it_is_short() -> None:
    assert len(SHOWN[1].strip().splitlines()) < 30


def test_a_plain_loop() -> None:
    net = tiny_net()
    first = lengths(net)
    optimizer = SGD(net.parameters(), lr=5.0)
    attach(optimizer, net, NormCap(limit=1.1))
    train(net, optimizer, 4)
    assert (lengths(net) / first).max() == pytest.approx(1.1, rel=1e-5)


@pytest.mark.mm
def test_it_runs_counts_and_resumes_in_mmengine(tmp_path) -> None:
    from helpers.mm_toy import train as run
    from helpers.mm_toy import weights

    from normreg_plugins.hosts.mmengine import handles_of

    method = {"type": "NormCap", "limit": 1.01}
    changes = {"optim_wrapper.accumulative_counts": 2, "optim_wrapper.optimizer.lr": 2.0}
    unbroken = run(tmp_path, method, **changes)
    (handle,) = handles_of(unbroken)
    assert (handle.method, handle.updates) == (NormCap(limit=1.01), 6)
    growth = weights(unbroken)["conv1.weight"].flatten(1).norm(dim=1) / handle.norms_at_start["conv1.weight"]
    assert growth.max() == pytest.approx(1.01, rel=1e-5)
    rest = run(tmp_path / "rest", method, "hook", load_from=str(tmp_path / "epoch_1.pth"), resume=True, **changes)
    assert all(torch.equal(value, weights(rest)[name]) for name, value in weights(unbroken).items())


@pytest.mark.ultralytics
def test_the_command_line_of_ultralytics_imports_it(tmp_path, monkeypatch) -> None:
    pytest.importorskip("ultralytics")
    from normreg_plugins.cli.train_ultralytics import parse
    from normreg_plugins.hosts.ultralytics import take_method

    assert take_method({"normcap.limit": 1.01}) == NormCap(limit=1.01)
    (tmp_path / "my_own_method.py").write_text(
        "from dataclasses import dataclass\nfrom normreg_plugins import Method, register_method\n"
        "@dataclass(frozen=True, repr=False)\nclass Mine(Method):\n    size: int = 3\n"
        "register_method('Mine', Mine)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert parse(["imports=my_own_method", "mine", "mine.size=4"]) == {"mine": True, "mine.size": 4}
    with pytest.raises(SystemExit):
        parse(["imports=my_other_method"])
