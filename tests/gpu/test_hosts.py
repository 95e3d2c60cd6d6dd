"""The hosts' own mixed precision and devices."""

from functools import partial

import pytest
import torch


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
