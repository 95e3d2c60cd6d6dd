"""`inspect` on each task's models, and on checkpoints that do not fit."""

import logging
import re
from pathlib import Path

import pytest
import torch
from torch import nn

pytest.importorskip("mmengine")

from mmengine import Config

from normreg_plugins import Verdicts, find_scale_invariant
from normreg_plugins.cli import inspect_model
from normreg_plugins.core.verdicts import Kind, Verdict

pytestmark = pytest.mark.mm
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def inspect(tool, monkeypatch):
    """Run the command in this process, and return what it printed. It switches logging off; later tests need it."""
    monkeypatch.chdir(ROOT)

    def run(*args, code=0):
        done = tool("inspect_model.py", *args)
        assert done.returncode == code, done.stderr
        return done.stderr if code else done.stdout

    yield run
    logging.disable(logging.NOTSET)


@pytest.fixture
def small(tmp_path):
    """A detector of a few thousand weights, with one filter that is zero."""
    config = tmp_path / "small.py"
    config.write_text(SMALL.format(base=str(ROOT / "configs/_base_/models/mini_yolov3_d53.py")))
    return config


SMALL = """
_base_ = {base!r}
default_scope = "mmdet"
model = dict(
    backbone=dict(_delete_=True, type="MobileNetV2", widen_factor=0.25, out_indices=(2, 4, 6)),
    neck=dict(in_channels=[80, 24, 8], out_channels=[16, 16, 16]),
    bbox_head=dict(in_channels=[16, 16, 16], out_channels=[16, 16, 16]),
)
custom_hooks = [dict(type="NormRegHook", regularizer=dict(type="WRS", interval=7))]
"""


def build(config):
    from mmengine.config import Config
    from mmengine.registry import MODELS, init_default_scope

    init_default_scope("mmdet")
    return MODELS.build(Config.fromfile(config).model)


@pytest.mark.slow
def test_verdicts_proof_lengths_and_zero_filters(inspect, small, tmp_path):
    model = build(small)
    with torch.no_grad():
        model.neck.detect1.conv1.conv.weight[3] = 0
    torch.save({"state_dict": model.state_dict()}, tmp_path / "some.pth")
    printed = inspect(small, tmp_path / "some.pth")
    found = re.search(r"(\d+) conv/linear weights: (\d+) invariant, 3 free", printed)
    assert f"proven by numbers: {found[1]} of {found[1]} verdicts agree" in printed
    assert "WeightRescaling(interval=7" in printed
    assert f"would act on {found[2]} weights" in printed
    assert re.search(r"effective learning rate x[\d.]+ .* Use lr=[\d.]+ instead of 0.01 to keep it", printed)
    (row,) = (line for line in printed.splitlines() if "neck.detect1.conv1.conv.weight" in line)
    cells = [cell.strip() for cell in row.strip("│ ").split("│")]
    assert cells[1] == "invariant ="
    assert cells[4] == "0"
    assert cells[-1] == "1"


@pytest.mark.parametrize(
    ("config", "options", "told"),
    [
        ("csrnet_wrs", ("--no-prove",), "backbone.output.weight: free: no norm layer follows"),
        pytest.param("resnet18_wrs", ("--method", "WRS"), "output_layers=[head.fc]", marks=pytest.mark.mmpretrain),
    ],
)
def test_nets_of_the_other_tasks(inspect, config, options, told):
    printed = inspect(f"configs/mini/{config}.py", "--size", "32", *options)
    assert told in printed
    assert ("21 of 21 verdicts agree" in printed) == ("--no-prove" not in options)


def test_a_checkpoint_with_other_classes_is_inspected_without_its_last_layers(inspect, small, tmp_path) -> None:
    """As `load_from` does when a fine-tuning begins."""
    (tmp_path / "other.py").write_text(f'_base_ = "{small}"\nmodel = dict(bbox_head=dict(num_classes=7))')
    other = build(tmp_path / "other.py")
    torch.nn.init.constant_(other.neck.detect1.conv1.conv.weight, 5)
    torch.save({"state_dict": other.state_dict()}, tmp_path / "other.pth")
    printed = inspect(small, tmp_path / "other.pth", "--no-prove")
    assert "not loaded, because the shapes differ: bbox_head.convs_pred.0.weight, " in printed
    norm = other.neck.detect1.conv1.conv.weight[0].norm().item()
    (row,) = [line for line in printed.splitlines() if "neck.detect1.conv1.conv.weight" in line]
    assert f"{norm:.3g}" in row


FIXED_SIZE = """
default_scope = "mmpretrain"
sizes = dict(embed_dims=8, num_layers=1, tokens_mlp_dims=8, channels_mlp_dims=8)
model = dict(
    type="ImageClassifier",
    backbone=dict(type="MlpMixer", arch=sizes, img_size=96),
    neck=dict(type="GlobalAveragePooling", dim=1),
    head=dict(type="LinearClsHead", num_classes=3, in_channels=8),
)
"""


@pytest.mark.mmpretrain
def test_pictures_have_the_models_own_size_if_small_ones_do_not_fit(tool, tmp_path):
    (tmp_path / "mine.py").write_text(FIXED_SIZE)
    fits = tool("inspect_model.py", tmp_path / "mine.py", "--no-prove")
    does_not = tool("inspect_model.py", tmp_path / "mine.py", "--no-prove", "--size", 64)
    logging.disable(logging.NOTSET)
    assert "No drawn batch" not in fits.stderr
    assert "No drawn batch fits this model: pictures of 64 x 64 pixels: " in does_not.stderr


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        ("", 2, "mine.py has no model"),
        ("model = dict(type='Missing')", 2, "the model cannot be built: KeyError: Missing is not in the"),
        ("model = dict(type='ToyNet')", 0, "ToyNet: batches are drawn for models of mmdet, mmseg"),
    ],
)
def test_what_cannot_be_built_or_drawn_is_one_sentence(tool, tmp_path, text, code, told):
    from helpers import mm_toy  # noqa: F401  (it registers ToyNet)

    (tmp_path / "mine.py").write_text(text)
    done = tool("inspect_model.py", tmp_path / "mine.py")
    logging.disable(logging.NOTSET)
    assert done.returncode == code
    assert told in done.stderr.splitlines()[-1]
    assert ("The verdicts are by structure" in done.stderr) == (code == 0) == ("would act on" in done.stdout)


HARMLESS = "Left alone by either verdict, so that nothing has to be done: 1"


def test_only_what_a_method_would_scale_wrongly_is_red():
    net = nn.Sequential(*(nn.Conv2d(1, 2, 1) for _ in range(4)))
    names = [f"{index}.weight" for index in range(4)]

    def verdicts(*kinds):
        return Verdicts(Verdict(name, kind, (), "") for name, kind in zip(names, kinds))

    traced = verdicts(Kind.INVARIANT, Kind.FREE, Kind.FREE, Kind.FREE)
    proof = verdicts(Kind.FREE, Kind.PER_LAYER, Kind.INVARIANT, Kind.FREE)
    rows = inspect_model.table_of(net, traced, proof).rows
    assert [row.style for row in rows] == ["bold red", "dim", "dim", "dim"]
    wrong, unseen, harmless = inspect_model.compare(traced, proof).splitlines()[1:]
    assert (names[0] in wrong, names[2] in unseen, harmless) == (True, True, HARMLESS)
    assert inspect_model.compare(proof, proof) == "proven by numbers: 4 of 4 verdicts agree"


def test_a_proof_shows_a_bar_and_what_is_faster(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    monkeypatch.setenv("COLUMNS", "200")
    net, images = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), torch.randn(2, 3, 8, 8)
    proof = inspect_model.prove(net, lambda model: model(images), find_scale_invariant(net))
    assert len(proof.of("invariant")) == 1
    assert "proof (--no-prove leaves it out, a smaller --size is faster)" in capsys.readouterr().err


@pytest.mark.parametrize(("two_stage", "queries"), [(True, 50), (False, 900)])
def test_a_detr_chooses_fewer_queries_than_small_pictures_have_places(two_stage, queries):
    model = {"type": "mmdet.DINO", "as_two_stage": two_stage, "num_queries": 900}
    assert inspect_model.model_settings(Config({"model": model})).num_queries == queries
