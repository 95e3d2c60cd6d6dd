"""A user's own method: one short class and one registration, and it runs, counts and resumes in every host."""

import ast
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from helpers.training import lengths, loss_on, same_state, tiny_net, train
from torch.optim import SGD

from normreg_plugins import Method, attach, register_method
from normreg_plugins.core.errors import NormRegError
from normreg_plugins.core.methods import Scaled, scale_
from normreg_plugins.hosts import methods

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, repr=False)
class NormCap(Method):
    """No filter becomes longer than `limit` times its first norm."""

    limit: float = 1.5
    interval: int = 1
    keeps = ("first",)

    def start(self, targets):
        for target in targets:
            target.kept["first"] = target.parts.norms(target.weight.detach())
        return []

    def after_update(self, targets, rates):
        norms = [target.parts.norms(target.weight.detach()).clamp(min=1e-12) for target in targets]
        factors = [(self.limit * t.kept["first"] / norm).clamp(max=1) for t, norm in zip(targets, norms)]
        return scale_(map(Scaled, targets, norms, factors))


@pytest.fixture(autouse=True)
def _registered():
    before = dict(methods.METHODS)
    register_method("NormCap", NormCap)
    yield
    methods.METHODS.clear()
    methods.METHODS.update(before)


def test_it_is_short_and_the_page_shows_the_same() -> None:
    source = Path(__file__).read_text()
    (written,) = [node for node in ast.parse(source).body if getattr(node, "name", "") == "NormCap"]
    assert written.end_lineno - written.lineno < 25
    (shown, *_) = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs/own_method.md").read_text(), re.M | re.S)
    (on_page,) = [node for node in ast.parse(shown).body if isinstance(node, ast.ClassDef)]
    assert ast.dump(on_page) == ast.dump(written)


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

    @pytest.mark.skipif(not hasattr(torch.amp, "GradScaler"), reason="torch.amp.GradScaler: torch >= 2.3")
    def test_accumulated_batches_are_one_update_and_skipped_steps_none(self) -> None:
        net = tiny_net()
        optimizer = SGD(net.parameters(), lr=0.1)
        handle = attach(optimizer, net, NormCap(interval=2))
        scaler = torch.amp.GradScaler("cpu", init_scale=16.0)
        for index in range(8):
            scaler.scale(loss_on(net, index)).backward()
            if index % 2:
                if index == 3:
                    net[8].weight.grad[0, 0] = torch.inf
                scaler.step(optimizer)
                scaler.update()
                optimizer.zero_grad()
        assert handle.updates == 3


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
    def test_it_runs_counts_and_resumes(self, tmp_path) -> None:
        pytest.importorskip("ultralytics")
        from helpers.tiny_yolo import OFFLINE, make_set, tiny_net
        from ultralytics import YOLO

        from normreg_plugins.hosts.ultralytics import take_method, with_method

        chosen = take_method({"normcap.limit": 1.01})
        assert chosen == NormCap(limit=1.01)
        data = str(make_set(tmp_path / "set", "detect", train=8))

        def stop(trainer):
            if trainer.epoch == 0:
                raise InterruptedError

        model = YOLO(tiny_net(tmp_path))
        model.add_callback("on_fit_epoch_end", stop)
        settings = OFFLINE | {"nbs": 4, "warmup_epochs": 0, "lr0": 0.5}
        with pytest.raises(InterruptedError):
            model.train(trainer=with_method(model, chosen), data=data, project=str(tmp_path), **settings)
        assert model.trainer.handle.updates == 2  # four batches, two to an update
        resumed = YOLO(model.trainer.last)
        resumed.train(trainer=with_method(resumed, chosen), resume=True)
        handle = resumed.trainer.handle
        assert handle.updates == 4
        name = handle.targets[0]
        first = model.trainer.handle.norms_at_start[name]
        found = resumed.trainer.model.get_parameter(name).detach().flatten(1).norm(dim=1)
        assert (found / first).max() <= 1.01 * (1 + 1e-5)

    def test_the_command_line_imports_it(self, tmp_path, monkeypatch) -> None:
        pytest.importorskip("ultralytics")
        from normreg_plugins.cli.train_ultralytics import parse

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
