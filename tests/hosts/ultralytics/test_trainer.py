"""A method inside ultralytics' own training loop: what it must survive, and what it must leave alone."""

import csv

import pytest
import torch

pytest.importorskip("ultralytics")

from helpers.tiny_yolo import OFFLINE, filter_norms, make_set, tiny_net, train
from ultralytics import YOLO
from ultralytics.models.yolo.detect import DetectionTrainer

from normreg_plugins import AdaptiveWeightShrink, WeightRescaling
from normreg_plugins.core.errors import NormRegError
from normreg_plugins.hosts.ultralytics import MethodTrainer, with_method
from normreg_plugins.monitor import read_run

pytestmark = pytest.mark.ultralytics

EVERY_UPDATE = WeightRescaling(interval=1)


def rows_of(trainer):
    with (trainer.save_dir / "results.csv").open() as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def test_two_lines_on_a_stock_model_hold_the_norms_and_tell(tmp_path):
    seen = []
    trainer = train(tmp_path, EVERY_UPDATE, callbacks={"on_fit_epoch_end": lambda t: seen.append(dict(t.metrics))})
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


def test_a_method_that_never_acts_is_the_stock_trainer_bit_for_bit(tmp_path, caplog):
    """Looking at the training forward takes nothing from loaders, mosaics or any random stream."""
    idle = WeightRescaling(begin=10**6, decay_on="all")
    settings = {"close_mosaic": 0, "multi_scale": 0.5, "cls_pw": 1.0}
    stock = train(tmp_path / "stock", **settings)
    ours = train(tmp_path / "ours", idle, **settings)
    assert "never acted: 4 updates were made, and the first in which it acts is 1000010" in caplog.text
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


def test_it_is_the_papers_algorithm_in_their_loop(tmp_path):
    settings = {"weight_decay": 0.0, "warmup_epochs": 0}
    ours = train(tmp_path / "ours", WeightRescaling(interval=3), **settings).model.state_dict()
    theirs = train(tmp_path / "slow", base=SlowRescaling, **settings)
    for name, value in theirs.model.named_parameters():
        assert torch.allclose(ours[name], value, atol=1e-5), name


def test_a_list_of_sets_is_a_run_for_each(tmp_path):
    model = YOLO(tiny_net(tmp_path))
    sets = [str(make_set(tmp_path / name, "detect")) for name in ("one", "two")]
    results = model.train(
        trainer=with_method(model, EVERY_UPDATE), data=sets, project=str(tmp_path), **{**OFFLINE, "epochs": 1}
    )
    assert set(results) == {"one", "two"}
    assert all(results.values())  # their loop logs what fails and goes on
    for run in model.trainer.trainers:
        assert "leaves alone" in (run.save_dir / "verdicts.txt").read_text()
        assert read_run(run.save_dir / "norms.jsonl").curves["norms/min"][1] == pytest.approx([1.0])
        norms = filter_norms(YOLO(run.last).model)
        assert torch.allclose(norms["model.0.conv.weight"], torch.ones(()), atol=1e-3)


def test_a_distilled_student_is_controlled_and_its_teacher_is_not(tmp_path):
    teacher = train(tmp_path / "teacher").last
    seen = {}

    def look(trainer):
        seen.update({name: p.detach().clone() for name, p in trainer.model.named_parameters() if "teacher" in name})

    trainer = train(tmp_path / "student", EVERY_UPDATE, callbacks={"on_train_start": look}, distill_model=str(teacher))
    targets = [name for name in trainer.handle.targets if trainer.model.get_parameter(name).requires_grad]
    assert "student_model.model.0.conv.weight" in targets
    assert not [name for name in targets if not name.startswith("student_model.")]
    norms = filter_norms(trainer.model)
    assert all(torch.allclose(norms[name], torch.ones(()), atol=1e-5) for name in targets)
    assert seen
    assert all(torch.equal(trainer.model.get_parameter(name), value) for name, value in seen.items())
    saved = filter_norms(YOLO(trainer.last).model)  # corrected, without its teacher
    assert any(torch.allclose(norm, torch.ones(()), atol=1e-3) for norm in saved.values())


def test_tau_counts_updates_under_accumulation_and_warmup(tmp_path):
    found = []
    trainer = train(
        tmp_path,
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


def test_a_phase_in_epochs(tmp_path):
    rows = rows_of(
        train(tmp_path, WeightRescaling(1, begin=1, end=2, unit="epoch"), epochs=3, warmup_epochs=0, lr0=0.1)
    )
    held = [row["norms/min"] == pytest.approx(1, abs=1e-4) == row["norms/max"] for row in rows]
    assert held == [False, True, False]


class Own(MethodTrainer, DetectionTrainer):
    method = AdaptiveWeightShrink(alpha=1e9, select="model.[01].conv")


def test_a_trainer_class_of_ones_own(tmp_path):
    """AWS has no norm to reach: with rate and strength this high the weights vanish, the others do not."""
    trainer = train(tmp_path, base=Own, warmup_epochs=0)
    assert trainer.handle.updates == 4
    assert trainer.handle.targets == ("model.0.conv.weight", "model.1.conv.weight")
    small = {name for name, norms in filter_norms(trainer.model).items() if norms.max() < 0.2}
    assert small == {*trainer.handle.targets}


def test_what_cannot_work_is_said_at_once(tmp_path):
    model = YOLO(tiny_net(tmp_path))
    with pytest.raises(NormRegError, match="'WRS'"):
        with_method(model, "WRS")
    with pytest.raises(NormRegError, match=r"tiny\.yaml"):
        with_method("tiny.yaml", EVERY_UPDATE)
