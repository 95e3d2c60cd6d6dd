"""What ultralytics does to its optimizer behind a method's back: groups, decay, retries, skipped steps."""

import pytest
import torch

pytest.importorskip("ultralytics")

from helpers.tiny_yolo import filter_norms, train
from helpers.training import decays_in_a_step
from ultralytics.models.yolo.detect import DetectionTrainer

from normreg_plugins import CorrectedDecay, SphereDescent, WeightDecay, WeightRescaling

pytestmark = pytest.mark.ultralytics

EVERY_UPDATE = WeightRescaling(interval=1)


def groups_by_name(trainer):
    """From each parameter's name to the group that holds it; each must be in exactly one."""
    held = [(id(p), group) for group in trainer.optimizer.param_groups for p in group["params"]]
    groups = dict(held)
    assert len(groups) == len(held)
    return {name: groups[id(p)] for name, p in trainer.model.named_parameters()}


GAMMAS, BETAS, KERNELS, TARGETS, BIASES = "gammas", "betas", "other kernels", "targets", "other biases"


def kind_of(name, trainer):
    in_norm = isinstance(trainer.model.get_submodule(name.rpartition(".")[0]), torch.nn.BatchNorm2d)
    if in_norm:
        return GAMMAS if name.endswith("weight") else BETAS
    return TARGETS if name in trainer.handle.targets else KERNELS if name.endswith("weight") else BIASES


@pytest.mark.parametrize(
    ("method", "decayed"),
    [
        (WeightRescaling(interval=1, decay_on="others"), {KERNELS}),
        (WeightRescaling(interval=1, decay_on="all"), {KERNELS, TARGETS}),  # what the trainer decays, and no more
        (EVERY_UPDATE, {GAMMAS, BETAS}),
        (WeightDecay(), {KERNELS, TARGETS, GAMMAS}),
        (CorrectedDecay(), {KERNELS}),
    ],
    ids=["others", "all", "norm_layers", "kernels_and_gammas", "corrected"],
)
def test_weight_decay_acts_where_the_method_says(tmp_path, method, decayed):
    """MuSGD is SGD with one more kind of group."""
    trainer = train(tmp_path, method, weight_decay=0.25, optimizer="MuSGD", epochs=1)
    if method is EVERY_UPDATE:  # the trainer finds its biases by the name of their group
        groups = groups_by_name(trainer)
        assert groups["model.5.cv2.0.2.bias"]["param_group"] == "bias"
        assert groups["model.0.bn.bias"]["param_group"] == "weight"
    found: dict[str, set[float]] = {}
    for name, decay in decays_in_a_step(trainer.model, trainer.optimizer).items():
        found.setdefault(kind_of(name, trainer), set()).add(decay)
    assert found == {kind: {0.25 if kind in decayed else 0} for kind in (GAMMAS, BETAS, KERNELS, TARGETS, BIASES)}


class OutOfMemoryOnce(DetectionTrainer):
    failed = False

    def preprocess_batch(self, batch):
        if self.epoch_running and not self.failed:
            self.failed = True
            raise RuntimeError("CUDA out of memory")
        return super().preprocess_batch(batch)

    @property
    def epoch_running(self):
        return hasattr(self, "epoch")


def test_an_out_of_memory_retry_brings_no_weight_decay_back(tmp_path):
    trainer = train(tmp_path, EVERY_UPDATE, OutOfMemoryOnce, batch=4, nbs=2, weight_decay=0.25)
    assert trainer.failed
    assert trainer.batch_size == 2
    decays = decays_in_a_step(trainer.model, trainer.optimizer)
    assert {decays[name] for name in trainer.handle.targets} == {0}
    assert decays["model.5.cv2.0.2.weight"] == decays["model.5.cv2.0.2.bias"] == 0
    assert decays["model.0.bn.weight"] == decays["model.0.bn.bias"] == 0.25
    assert trainer.handle.updates == 4
    # earlier releases built the optimizer anew
    old, handle = trainer.optimizer, trainer.handle
    new = trainer.build_optimizer(model=trainer.model, name="SGD", lr=0.01, momentum=0.9, decay=0.25)
    assert not old._optimizer_step_post_hooks
    hooked = [hook.__qualname__.partition(".")[0] for hook in new._optimizer_step_post_hooks.values()]
    assert hooked == ["Handle", "Monitor"]
    assert trainer.handle is not handle
    assert trainer.handle.targets == handle.targets


class Overflowing(DetectionTrainer):
    """AMP's bookkeeping on a CPU: their optimizer fused or not, and every third gradient infinite."""

    fused = True

    def build_optimizer(self, *args, **kwargs):
        groups = super().build_optimizer(*args, **kwargs).param_groups
        return torch.optim.AdamW([{**group, "fused": self.fused} for group in groups], fused=self.fused)

    def _setup_train(self):
        super()._setup_train()
        self.scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
        self.calls, self.skips, self.changed, self.held = 0, 0, [], []

    def optimizer_step(self):
        self.calls += 1
        overflow = self.calls % 3 == 0
        if overflow:
            next(self.model.parameters()).grad.fill_(torch.inf)
        before = [p.clone() for p in self.model.parameters()]
        super().optimizer_step()
        self.skips += overflow
        self.changed.append(any(not torch.equal(a, b) for a, b in zip(before, self.model.parameters(), strict=True)))
        norms = filter_norms(self.model)["model.1.conv.weight"]
        self.held.append(torch.allclose(norms, torch.ones(()), atol=1e-6))


class OverflowingUnfused(Overflowing):
    fused = False


@pytest.mark.parametrize("base", [Overflowing, OverflowingUnfused])
def test_skipped_steps_of_amp_count_for_nothing(tmp_path, base):
    trainer = train(tmp_path, WeightRescaling(interval=2), base, epochs=4, warmup_epochs=0)
    assert (trainer.calls, trainer.skips, trainer.handle.updates) == (8, 2, 6)
    assert trainer.changed == [True, True, False, True, True, False, True, True]
    assert trainer.held == [False, True, True, False, True, True, False, True]


@pytest.mark.parametrize(
    ("optimizer", "kind", "method", "norm"),
    [("auto", "AdamW", EVERY_UPDATE, 1.0), ("MuSGD", "MuSGD", SphereDescent(), 2**0.5)],
)
def test_any_of_their_optimizers(tmp_path, optimizer, kind, method, norm):
    trainer = train(tmp_path, method, optimizer=optimizer, weight_decay=0.25)
    assert type(trainer.optimizer).__name__ == kind
    norms = filter_norms(trainer.model)
    assert all(torch.allclose(norms[name], torch.tensor(norm), atol=1e-5) for name in trainer.handle.targets)
    if kind == "MuSGD":  # still orthogonalized
        assert all(groups_by_name(trainer)[name]["use_muon"] for name in trainer.handle.targets)
