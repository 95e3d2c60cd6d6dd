"""A method inside ultralytics' own training loop: what it must survive, and what it must leave alone."""

import csv

import pytest
import torch

pytest.importorskip("ultralytics")

from tiny_yolo import OFFLINE, filter_norms, make_set, tiny_net
from ultralytics import YOLO
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.utils import LOGGER

from normreg_plugins import AdaptiveWeightShrink, SphereDescent, WeightRescaling
from normreg_plugins.core.errors import NormRegError
from normreg_plugins.hosts.ultralytics import MethodTrainer, with_method

pytestmark = pytest.mark.ultralytics

EVERY_UPDATE = WeightRescaling(interval=1)


@pytest.fixture
def train(tmp_path):
    """Train the tiny net and return its trainer; `method=None` is the stock one."""
    data = make_set(tmp_path / "set", "detect")

    def run(method=None, base=None, callbacks=(), select=None, decay_norms=False, **settings):
        model = YOLO(tiny_net(tmp_path))
        for event, callback in dict(callbacks).items():
            model.add_callback(event, callback)
        trainer = base or model
        if method is not None:
            trainer = with_method(trainer, method, select, decay_norms=decay_norms)
        stock = trainer if isinstance(trainer, type) else None
        model.train(trainer=stock, data=str(data), project=str(tmp_path), **{**OFFLINE, **settings})
        return model.trainer

    return run


def rows_of(trainer):
    with (trainer.save_dir / "results.csv").open() as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def groups_by_name(trainer):
    """From each parameter's name to the group that holds it; each must be in exactly one."""
    held = [(id(p), group) for group in trainer.optimizer.param_groups for p in group["params"]]
    groups = dict(held)
    assert len(groups) == len(held)
    return {name: groups[id(p)] for name, p in trainer.model.named_parameters()}


def test_two_lines_on_a_stock_model_hold_the_norms_and_tell(train):
    seen = []
    trainer = train(EVERY_UPDATE, callbacks={"on_fit_epoch_end": lambda t: seen.append(dict(t.metrics))})
    handle = trainer.handle
    norms = filter_norms(trainer.model)
    assert handle.updates == trainer.ema.updates == 4
    assert {name for name, norm in norms.items() if torch.allclose(norm, torch.ones(()), atol=1e-5)} == set(
        handle.targets
    )
    table = (trainer.save_dir / "verdicts.txt").read_text()
    assert str(handle.verdicts) in table
    assert all(f"{name}: {why}" in table for name, why in handle.left_alone.items())
    rows = rows_of(trainer)
    assert [row["norms/updates"] for row in rows] == [2, 4]
    assert rows[-1]["norms/min"] == pytest.approx(1) == rows[-1]["norms/max"]
    assert seen[0]["norms/mean"] == pytest.approx(1)  # where loggers such as TensorBoard read


def test_a_method_that_never_acts_is_the_stock_trainer_bit_for_bit(train):
    """Looking at the training forward takes nothing from loaders, mosaics or any random stream."""
    idle = WeightRescaling(begin=10**6, keep_weight_decay=True)
    settings = {"close_mosaic": 0, "multi_scale": 0.5, "cls_pw": 1.0}
    stock, ours = train(**settings), train(idle, **settings)
    theirs = stock.model.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.model.state_dict().items())
    assert [row["train/box_loss"] for row in rows_of(ours)] == [row["train/box_loss"] for row in rows_of(stock)]


class SlowRescaling(DetectionTrainer):
    """Algorithm 1 of the WRS paper behind their own step, one filter at a time."""

    updates = 0

    def optimizer_step(self):
        super().optimizer_step()
        self.updates += 1
        if self.updates % 3 == 0:
            for name, weight in self.model.named_parameters():
                if name.endswith(".conv.weight") and "dfl" not in name:
                    with torch.no_grad():
                        for one in weight:
                            one /= one.norm()


def test_it_is_the_papers_algorithm_in_their_loop(train):
    settings = {"epochs": 4, "weight_decay": 0.0}
    ours = train(WeightRescaling(interval=3), **settings).model.state_dict()
    for name, value in train(base=SlowRescaling, **settings).model.named_parameters():
        assert torch.allclose(ours[name], value, atol=1e-5), name


def test_tau_counts_updates_under_accumulation_and_warmup(train):
    found = []
    trainer = train(
        WeightRescaling(interval=2),
        callbacks={"on_train_batch_end": lambda t: found.append((t.handle.updates, t.ema.updates))},
        epochs=6,
        nbs=8,  # four batches to an update, after a warm-up that begins with one
        warmup_epochs=2,
        multi_scale=0.5,
        close_mosaic=2,
        cos_lr=True,
    )
    batches = 12
    assert len(found) == batches
    assert all(ours == theirs for ours, theirs in found)
    assert 0 < trainer.handle.updates < batches


def test_a_phase_in_epochs(train):
    rows = rows_of(train(WeightRescaling(1, begin=1, end=2, unit="epoch"), epochs=3, warmup_epochs=0, lr0=0.1))
    held = [row["norms/min"] == pytest.approx(1, abs=1e-4) == row["norms/max"] for row in rows]
    assert held == [False, True, False]


@pytest.mark.parametrize("decay_norms", [False, True])
def test_weight_decay_as_the_trainer_has_it_or_as_the_paper(train, monkeypatch, decay_norms):
    told: list[str] = []  # from the source: what other hosts do to logging does not matter here
    monkeypatch.setattr(LOGGER, "info", lambda message, *_: told.append(str(message)))
    trainer = train(EVERY_UPDATE, decay_norms=decay_norms, weight_decay=0.25)
    decays = {name: group["weight_decay"] for name, group in groups_by_name(trainer).items()}
    norms = {f"{n}.{p}" for n, m in trainer.model.named_modules() for p in ("weight", "bias") if "BatchNorm" in str(m)}
    on_norms = 0.25 if decay_norms else 0
    assert {decays[name] for name in trainer.handle.targets} == {0}
    assert {decay for name, decay in decays.items() if name in norms} == {on_norms}
    assert decays["model.5.cv2.0.2.weight"] == 0.25
    assert decays["model.5.cv2.0.2.bias"] == 0
    assert f"weight decay 0 on these, 0.25 on other weights, {on_norms:g} on norms" in "\n".join(told)


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


def test_an_out_of_memory_retry_brings_no_weight_decay_back(train):
    trainer = train(EVERY_UPDATE, OutOfMemoryOnce, batch=4, nbs=2, weight_decay=0.25, decay_norms=True)
    assert trainer.failed
    assert trainer.batch_size == 2
    decays = {name: group["weight_decay"] for name, group in groups_by_name(trainer).items()}
    assert {decays[name] for name in trainer.handle.targets} == {0}
    assert decays["model.5.cv2.0.2.weight"] == decays["model.0.bn.weight"] == decays["model.0.bn.bias"] == 0.25
    assert trainer.handle.updates == 4


def test_a_rebuilt_optimizer_is_taken_over_and_the_old_one_let_go(train):
    """Earlier releases built the optimizer anew when they ran out of memory."""
    trainer = train(EVERY_UPDATE, epochs=1)
    old, handle = trainer.optimizer, trainer.handle
    new = trainer.build_optimizer(model=trainer.model, name="SGD", lr=0.01, momentum=0.9, decay=0.25)
    assert not old._optimizer_step_post_hooks
    assert len(new._optimizer_step_post_hooks) == 1
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
def test_skipped_steps_of_amp_count_for_nothing(train, base):
    trainer = train(WeightRescaling(interval=2), base, epochs=4, warmup_epochs=0)
    assert (trainer.calls, trainer.skips, trainer.handle.updates) == (8, 2, 6)
    assert trainer.changed == [True, True, False, True, True, False, True, True]
    assert trainer.held == [False, True, True, False, True, True, False, True]


@pytest.mark.parametrize(("optimizer", "kind"), [("auto", "AdamW"), ("MuSGD", "MuSGD"), ("Adam", "Adam")])
@pytest.mark.parametrize("method", [EVERY_UPDATE, SphereDescent()], ids=["WRS", "PGD"])
def test_any_of_their_optimizers(train, optimizer, kind, method):
    trainer = train(method, optimizer=optimizer, weight_decay=0.25)
    assert type(trainer.optimizer).__name__ == kind
    length = 1.0 if method is EVERY_UPDATE else 2**0.5
    norms = filter_norms(trainer.model)
    assert all(torch.allclose(norms[name], torch.tensor(length), atol=1e-5) for name in trainer.handle.targets)
    if kind == "MuSGD":  # still orthogonalized
        assert all(groups_by_name(trainer)[name]["use_muon"] for name in trainer.handle.targets)


def test_no_guess_at_how_the_two_momenta_of_musgd_follow(train):
    with pytest.raises(NormRegError, match="MuSGD keeps 'momentum_buffer_SGD'"):
        train(WeightRescaling(interval=1, transport_state=True), optimizer="MuSGD")


def test_shrinking(train):
    """AWS has no norm to reach: with rate and strength this high the weights vanish, the others do not."""
    trainer = train(AdaptiveWeightShrink(alpha=1e9), warmup_epochs=0, epochs=1)
    norms = filter_norms(trainer.model)
    assert all(norms[name].max() < 0.2 for name in trainer.handle.targets)


class SlowAverage(DetectionTrainer):
    """An average that stays far behind, as theirs does in the middle of a long run."""

    def _setup_train(self):
        super()._setup_train()
        self.ema.decay = lambda _: 0.8
        self.evaluated = []

    def get_validator(self):
        validator = super().get_validator()
        validator.callbacks["on_val_start"].append(lambda _: self.evaluated.append(copied(self.ema.ema)))
        return validator


def copied(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


MOVING = {"epochs": 4, "lr0": 0.3, "warmup_epochs": 0}


def test_the_average_is_a_correct_network_when_it_is_evaluated_and_when_it_is_saved(train):
    trainer = train(EVERY_UPDATE, SlowAverage, **MOVING)
    live = trainer.model.state_dict()
    saved = YOLO(trainer.last).model.state_dict()
    during = trainer.evaluated[3]  # the fifth is of best.pt, at the end
    for name in trainer.handle.targets:
        lengths = during[name].flatten(1).norm(dim=1)
        assert torch.allclose(lengths, torch.ones(()), atol=1e-5), name
    for name, value in during.items():
        assert torch.equal(saved[name].half(), value.half()), name
        assert "running" not in name or torch.equal(value, live[name]), name
    assert any(norm.min() < 0.99 for norm in filter_norms(trainer.ema.ema).values())  # what is averaged further


def test_looking_at_the_average_does_not_change_it(train):
    before, after = [], []
    callbacks = {
        "on_train_epoch_end": lambda trainer: before.append(copied(trainer.ema.ema)),
        "on_fit_epoch_end": lambda trainer: after.append(copied(trainer.ema.ema)),
    }
    train(EVERY_UPDATE, SlowAverage, callbacks, **MOVING)
    for was, became in zip(before, after, strict=False):  # one more at the end
        assert all(torch.equal(became[name], value) for name, value in was.items())


def test_what_is_saved_without_being_evaluated_is_correct_too(train):
    trainer = train(EVERY_UPDATE, SlowAverage, val=False, save_period=1, **MOVING)
    assert len(trainer.evaluated) == 2  # at the end
    norms = filter_norms(YOLO(trainer.wdir / "epoch1.pt").model.float())
    assert all(torch.allclose(norms[name], torch.ones(()), atol=1e-3) for name in trainer.handle.targets)


def test_frozen_layers_stay_as_they_are(train):
    start = {}
    trainer = train(
        EVERY_UPDATE,
        callbacks={"on_train_start": lambda t: start.update({n: p.clone() for n, p in t.model.named_parameters()})},
        freeze=[0, 1],
    )
    verdicts = {verdict.name: verdict for verdict in trainer.handle.verdicts}
    for name in ("model.0.conv.weight", "model.1.conv.weight"):
        assert verdicts[name].kind == "compensated"  # their norms run on frozen statistics
        assert "frozen" in trainer.handle.left_alone[name]
        assert torch.equal(trainer.model.get_parameter(name), start[name])
    assert verdicts["model.2.conv.weight"].kind == "invariant"


def test_select_names_the_weights(train):
    trainer = train(EVERY_UPDATE, select="model.[01].conv")
    assert trainer.handle.targets == ("model.0.conv.weight", "model.1.conv.weight")


class Own(MethodTrainer, DetectionTrainer):
    method = EVERY_UPDATE


def test_a_trainer_class_of_ones_own(train):
    assert train(base=Own).handle.updates == 4


def test_what_cannot_work_is_said_at_once(tmp_path):
    model = YOLO(tiny_net(tmp_path))
    with pytest.raises(NormRegError, match="'WRS'"):
        with_method(model, "WRS")
    with pytest.raises(NormRegError, match=r"tiny\.yaml"):
        with_method("tiny.yaml", EVERY_UPDATE)
