"""A user's own method: one short class and one registration, and it runs, counts and resumes in every host."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.training import lengths, same_state, tiny_net, train
from torch.optim import SGD

from normreg_plugins import attach, register_method
from normreg_plugins.core.errors import NormRegError
from normreg_plugins.hosts import methods

ROOT = Path(__file__).resolve().parents[2]


SHOWN = re.search(
    r"^```python\n(.*?)^register_method", (ROOT / "docs/own_method.md").read_text(), re.MULTILINE | re.DOTALL
)
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


class TestPlainLoop:
    def test_it_acts_and_a_resume_is_exact(self) -> None:
        net = tiny_net()
        first = lengths(net)
        optimizer = SGD(net.parameters(), lr=5.0)
        attach(optimizer, net, NormCap(limit=1.1))
        train(net, optimizer, 4)
        growth = lengths(net) / first
        assert growth.max() == pytest.approx(1.1, rel=1e-5)
        twin = tiny_net(3)
        twin.load_state_dict(net.state_dict())
        resumed = SGD(twin.parameters(), lr=5.0)
        handle = attach(resumed, twin, NormCap(limit=1.1))
        resumed.load_state_dict(optimizer.state_dict())
        train(net, optimizer, 3, first=4)
        train(twin, resumed, 3, first=4)
        assert same_state(net, twin)
        assert handle.updates == 7


@pytest.mark.mm
class TestMmengine:
    def test_it_runs_counts_and_resumes(self, tmp_path) -> None:
        from helpers.mm_toy import train as run
        from helpers.mm_toy import weights

        from normreg_plugins.hosts.mmengine import handles_of

        method = {"type": "NormCap", "limit": 1.01}
        changes = {"optim_wrapper.accumulative_counts": 2, "optim_wrapper.optimizer.lr": 2.0}
        whole = run(tmp_path, method, **changes)
        (handle,) = handles_of(whole)
        assert (handle.method, handle.updates) == (NormCap(limit=1.01), 6)
        growth = weights(whole)["conv1.weight"].flatten(1).norm(dim=1) / handle.norms_at_start["conv1.weight"]
        assert growth.max() == pytest.approx(1.01, rel=1e-5)
        half = {"load_from": str(tmp_path / "epoch_1.pth"), "resume": True}
        rest = run(tmp_path / "rest", method, "hook", **changes, **half)
        assert all(torch.equal(value, weights(rest)[name]) for name, value in weights(whole).items())
        with pytest.raises(NormRegError, match=r"{'limit': 1\.01}.*{'limit': 2\.0}"):
            run(tmp_path / "other", {"type": "NormCap", "limit": 2.0}, **changes, **half)


@pytest.mark.ultralytics
class TestUltralytics:
    def test_the_command_line_imports_it(self, tmp_path, monkeypatch) -> None:
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
