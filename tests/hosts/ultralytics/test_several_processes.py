"""ultralytics' DDP: it throws the trainer away and makes it anew, from its class, in every worker."""

import pytest
import torch

pytest.importorskip("ultralytics")

from helpers.cpu_ddp import RANKS, CPUDistributedTrainer
from helpers.tiny_yolo import OFFLINE, make_set, tiny_net
from ultralytics import YOLO

from normreg_plugins import WeightRescaling
from normreg_plugins.hosts.ultralytics import with_method

pytestmark = [pytest.mark.ultralytics, pytest.mark.slow]


def test_the_workers_train_with_the_method_and_agree(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    method = WeightRescaling(interval=3, select="model.[012].conv")
    trainer = with_method(CPUDistributedTrainer, method)
    data = make_set(tmp_path / "set", "detect")
    settings = OFFLINE | {"epochs": 3, "batch": 2 * RANKS, "nbs": 2 * RANKS}
    YOLO(tiny_net(tmp_path)).train(trainer=trainer, data=str(data), project=str(tmp_path), **settings)

    first, second = (torch.load(tmp_path / "train" / f"rank{rank}.pt", weights_only=True) for rank in range(RANKS))
    assert first["batch"] == 2
    assert first["method"] == repr(method)
    assert first["targets"] == tuple(f"model.{i}.conv.weight" for i in range(3))
    assert first["updates"] == 3
    for key in ("method", "targets", "updates"):
        assert second[key] == first[key]
    for name, value in first["weights"].items():
        local = "running" in name or "tracked" in name  # statistics of a rank's own images
        assert local or torch.equal(second["weights"][name], value), name
    for name in first["targets"]:
        norms = torch.stack([one.norm() for one in first["weights"][name]])
        assert torch.allclose(norms, torch.ones(()), atol=1e-5), name
    assert (tmp_path / "train" / "verdicts.txt").is_file()
