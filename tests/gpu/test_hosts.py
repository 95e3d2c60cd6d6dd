"""The hosts' own mixed precision, and a few steps of every task."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
NETS = {"detection": "yolov3", "segmentation": "deeplabv3", "crowd": "csrnet"}


@pytest.mark.mm
@pytest.mark.parametrize("device", [pytest.param("cuda", marks=pytest.mark.gpu), "cpu"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_mmengines_own_mixed_precision(tmp_path, monkeypatch, device, dtype: str) -> None:
    """mm trains on the GPU where there is one. On a CPU its check and the device of its scaler are exchanged."""
    from helpers.mm_toy import train
    from mmengine.optim.optimizer import amp_optimizer_wrapper

    from normreg_plugins.hosts.mmengine.method_hook import handles_of

    if device == "cpu":
        if torch.cuda.is_available() or dtype == "float16" or not hasattr(torch.amp, "GradScaler"):
            pytest.skip("bfloat16 where torch has a gradient scaler for the CPU, and no GPU")
        monkeypatch.setattr(amp_optimizer_wrapper, "is_cuda_available", lambda: True)
        monkeypatch.setattr(amp_optimizer_wrapper, "GradScaler", partial(torch.amp.GradScaler, "cpu"))
    wrapper = {"type": "AmpOptimWrapper", "dtype": dtype, "loss_scale": {"init_scale": 2.0**40}}
    runner = train(tmp_path, {"type": "WRS", "interval": 1}, optim_wrapper=wrapper)
    (handle,) = handles_of(runner)
    assert 0 < handle.updates <= 12
    for name in handle.targets:
        weight = runner.model.get_parameter(name).detach().flatten(1)
        torch.testing.assert_close(weight.norm(dim=1).cpu(), torch.ones(len(weight)), rtol=1e-4, atol=0)


@pytest.fixture(scope="session")
def drawn(tmp_path_factory) -> Path:
    """A folder that holds the drawn sets of the mini configs, a few pictures each."""
    folder = tmp_path_factory.mktemp("drawn")

    def run(tool: str, *arguments: object) -> None:
        command = [sys.executable, str(ROOT / "tools" / "data" / tool), *map(str, arguments)]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)

    mini = folder / "data" / "mini"
    for task in NETS:
        run("make_mini_data.py", task, "--train", 8, "--val", 2, "--out", mini / (task if task != "crowd" else "raw"))
    run("prepare_qnrf.py", "--any-counts", mini / "raw", mini / "crowd", "--sides", 96, 128, "--val", 2)
    return folder


@pytest.mark.mm
@pytest.mark.gpu
@pytest.mark.parametrize("method", ["wrs", "aws", "pgd"])
@pytest.mark.parametrize("task", NETS)
def test_a_few_steps_of_each_task(drawn, monkeypatch, task: str, method: str) -> None:
    """The mini configs' own nets. On a CPU tests/tools trains them."""
    from research.benchmarks.training import ready_step

    monkeypatch.chdir(drawn)
    step, _, _ = ready_step(ROOT / "configs" / "mini" / f"{NETS[task]}_{method}.py")
    losses = [step() for _ in range(3)]
    assert all(torch.isfinite(value).all() for loss in losses for value in loss.values())


@pytest.mark.ultralytics
@pytest.mark.parametrize("device", ["cpu", pytest.param(0, marks=pytest.mark.gpu)])
def test_ultralytics(tmp_path, device) -> None:
    pytest.importorskip("ultralytics")
    from helpers.tiny_yolo import filter_norms, train

    from normreg_plugins import WeightRescaling

    trainer = train(tmp_path, WeightRescaling(interval=1), device=device)
    norms = filter_norms(trainer.model)
    assert trainer.handle.updates == 4
    for name in trainer.handle.targets:
        torch.testing.assert_close(norms[name].cpu(), torch.ones_like(norms[name].cpu()), rtol=1e-4, atol=0)
