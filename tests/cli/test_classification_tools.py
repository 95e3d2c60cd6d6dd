"""`train`, `test` and `inspect` on a classification config, as a user runs them."""

import logging
import pickle
from pathlib import Path

import pytest

pytestmark = pytest.mark.mmpretrain
ROOT = Path(__file__).resolve().parents[2]
SMALL = """
_base_ = {base!r}
data = dict(data_root={data!r})
model = dict(backbone=dict(stem_channels=4, base_channels=4), head=dict(in_channels=32))
train_dataloader = dict(batch_size=30, num_workers=0, persistent_workers=False, dataset=data)
val_dataloader = dict(batch_size=20, num_workers=0, persistent_workers=False, dataset=data)
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=1, val_interval=1)
default_hooks = dict(checkpoint=dict(interval=1))
work_dir = {work!r}
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    from normreg_plugins.cli.data import make_mini_data

    folder = tmp_path_factory.mktemp("small")
    options = ["--out", folder / "data", "--train", 60, "--val", 40]
    assert make_mini_data.main(["classification", *map(str, options)]) == 0
    config = folder / "small.py"
    base = str(ROOT / "configs" / "mini" / "resnet18_wrs.py")
    config.write_text(SMALL.format(base=base, data=f"{folder / 'data'}/", work=str(folder / "work")))
    return config


@pytest.mark.slow
def test_it_trains_tests_and_draws(run_tool, small, tmp_path):
    work = small.parent / "work"
    trained = run_tool("train.py", small)
    assert trained.returncode == 0, trained.stderr
    assert "acts on 21 of 21 conv/linear weights" in trained.stdout + trained.stderr
    assert f"best checkpoint: {work / 'best_accuracy_top1_epoch_1.pth'}" in trained.stdout
    assert (work / "norms.png").is_file()
    out = tmp_path / "predictions.pkl"
    flags = ("--out", out, "--show-dir", "drawn", "--work-dir", tmp_path / "work")
    tested = run_tool("test.py", small, work / "epoch_1.pth", *flags)
    assert tested.returncode == 0, tested.stderr
    predictions = pickle.loads(out.read_bytes())
    right = sum(int(p["pred_label"]) == int(p["gt_label"]) for p in predictions)
    assert len(predictions) == 40
    assert f"accuracy/top1: {100 * right / 40:.4f}" in tested.stdout + tested.stderr
    assert len(list((tmp_path / "work" / "drawn").glob("*.png"))) == 40


def test_what_is_missing_is_said_with_the_mini_run(tool, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    done = tool("train.py", ROOT / "configs" / "classification" / "vgg16bn_cifar10_wrs.py")
    assert done.returncode == 2
    assert "data/cifar10/ does not exist" in done.stderr
    assert "cifar-10-python.tar.gz" in done.stderr
    assert "make-mini-data classification && normreg train mini/resnet18_wrs.py" in done.stderr


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("resnet18_wrs", "21 of 21 verdicts agree"),
        ("resnet18_pgd", "would act on 20 weights"),
        ("resnet18_bwn", "would act on 21 weights"),
    ],
)
def test_inspect_model_proves_its_verdicts(tool, name, told):
    try:
        done = tool("inspect_model.py", ROOT / "configs" / "mini" / f"{name}.py", "--size", 32)
    finally:
        logging.disable(logging.NOTSET)  # the tool switches logging off; later tests need it
    assert done.returncode in (None, 0), done.stderr
    assert told in done.stdout
    assert "head.fc.weight" in done.stdout
