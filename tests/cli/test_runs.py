"""`train`, `test` and the scores as a user runs them, on a small net and a few drawn images of each task."""

import json
import pickle
import runpy
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import torch
from helpers import processes

from normreg_plugins.cli.data.make_mini_data import make_mini_set
from normreg_plugins.monitor import read_run

pytestmark = [pytest.mark.mm, pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[2]

HEAD = """
_base_ = {base!r}
root = {data!r}
work_dir = {work!r}
small = dict(num_workers=0, persistent_workers=False, dataset=dict(data_root=root))
train_dataloader, val_dataloader = dict(small), dict(small)
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=1, val_interval=1)
"""
SMALL = {
    "detection": """
model = dict(
    backbone=dict(_delete_=True, type="MobileNetV2", widen_factor=0.25, out_indices=(2, 4, 6)),
    neck=dict(in_channels=[80, 24, 8], out_channels=[16, 16, 16]),
    bbox_head=dict(in_channels=[16, 16, 16], out_channels=[16, 16, 16]),
    test_cfg=dict(score_thr=0.0, conf_thr=0.0),  # the few boxes of an untrained net
)
train_dataloader.update(batch_size=4, dataset=dict(data_root=root, filter_cfg=None))
val_evaluator = [
    dict(type="CocoMetric", ann_file=root + "annotations/val.json", metric="bbox"),
    dict(type="NormRegPrecisionRecallMetric", ann_file=root + "annotations/val.json"),
]
test_evaluator = val_evaluator
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type="SGD", lr=0.001), clip_grad=None, regularizer=dict(interval=2)
)
default_hooks = dict(monitor=dict(interval=1), checkpoint=dict(save_best=None))
""",
    "segmentation": """
model = dict(
    backbone=dict(depth=18, base_channels=8, stem_channels=8), decode_head=dict(in_channels=64, channels=16)
)
train_cfg = dict(max_iters=4, val_interval=4)
default_hooks = dict(checkpoint=dict(interval=4, save_best=None), visualization=dict(interval=1))
""",
    "classification": """
model = dict(backbone=dict(stem_channels=4, base_channels=4), head=dict(in_channels=32))
default_hooks = dict(checkpoint=dict(interval=1))
""",
}
NETS = {"detection": "yolov3", "segmentation": "deeplabv3", "classification": "resnet18"}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The config of a small net on twelve drawn images. Made once for each task."""
    made = {}

    def make(task, method="wrs"):
        if (task, method) not in made:
            folder = tmp_path_factory.mktemp(task)
            make_mini_set(task, folder / "data", train=8, val=4, size=32 if task == "classification" else 96)
            base = str(ROOT / "configs" / "mini" / f"{NETS[task]}_{method}.py")
            paths = {"data": f"{folder / 'data'}/", "work": str(folder / "work")}
            made[task, method] = folder / "small.py"
            made[task, method].write_text(HEAD.format(base=base, **paths) + SMALL[task])
        return made[task, method]

    return make


def pictures_in(said):
    return [Path(line.removeprefix("picture: ")) for line in said.splitlines() if line.startswith("picture: ")]


def score_in(said, name):
    """The last score of this name that mm printed."""
    return float(said.rsplit(f"{name}:", 1)[1].split()[0])


def test_detection_trains_resumes_tests_and_scores(user, small, tmp_path):
    config = small("detection")
    work, annotations = config.parent / "work", config.parent / "data" / "annotations" / "val.json"
    trained = user("train.py", config)
    assert f"work dir: {work}" in trained
    pictures = pictures_in(trained)
    assert all(path.is_file() for path in pictures)
    assert "norms.png" in {path.name for path in pictures}
    assert any(path.name.startswith("val_img") for path in pictures)

    resumed = user("train.py", config, "--resume", "--cfg-options", "train_cfg.max_epochs=2")
    assert "Epoch(train) [1]" not in resumed
    updates, _ = read_run(work / "norms.jsonl").curves["detection/best_f1"]
    assert len(updates) == 2  # one for each epoch, of the run and of the one that went on from it

    flags = ("--out", tmp_path / "p.json", "--show-dir", tmp_path / "drawn", "--work-dir", tmp_path / "work")
    tested = user("test.py", config, work / "epoch_2.pth", *flags, ranks=2)
    assert {"image_id", "category_id", "bbox", "score"} <= json.loads((tmp_path / "p.json").read_text())[0].keys()
    assert len([path for path in tmp_path.rglob("*.png") if "drawn" in path.parts]) == 2  # by the first rank
    assert not list(tmp_path.glob(".unfinished*"))
    user("eval_map.py", annotations, tmp_path / "p.json", "--out", tmp_path / "eval")
    (row,) = json.loads((tmp_path / "eval" / "detection_metrics.json").read_text()).values()
    assert row["mAP50"] == pytest.approx(score_in(tested, "bbox_mAP_50"), abs=6e-4)  # mm prints three digits
    assert row["best_f1"]["f1"] == pytest.approx(score_in(tested, "detection/best_f1"), abs=6e-4)


DEMO = """
model.backbone._delete_=True model.backbone.type=MobileNetV2 model.backbone.widen_factor=0.25
model.backbone.out_indices=(2,4,6) model.neck.in_channels=[80,24,8] model.neck.out_channels=[16,16,16]
model.bbox_head.in_channels=[16,16,16] model.bbox_head.out_channels=[16,16,16]
model.test_cfg.score_thr=0.0 model.test_cfg.conf_thr=0.0 train_cfg.max_epochs=1 train_cfg.val_interval=1
train_dataloader.dataset.indices=40 train_dataloader.batch_size=4 default_hooks.monitor.interval=10
"""


@pytest.mark.one_stack
def test_the_demo_compares_both_and_says_what_to_do_next(user, tmp_path, monkeypatch, capsys):
    """Its commands run as those of the other tests do, which is faster than from a shell, on a small set."""
    spec = spec_from_file_location("demo", ROOT / "examples" / "demo.py")
    demo = module_from_spec(spec)
    spec.loader.exec_module(demo)
    few = ("--train", 40, "--val", 8)
    more = {"data/make_mini_data.py": few}
    monkeypatch.setattr(demo, "run", lambda tool, *words: user(tool, *words, *more.get(tool, ()), cwd=tmp_path))
    monkeypatch.chdir(tmp_path)
    demo.main(DEMO.split())
    *_, last_screen = capsys.readouterr().out.split("\nFilter norm: ")
    assert "with WRS 1.00 to 1.00." in last_screen
    assert "with WRS 1 times" in last_screen
    assert "Next:" in last_screen
    for picture in ("norms.png", "worst/pictures.png", "best/pictures.png"):
        assert f"work_dirs/demo/{picture}" in last_screen
        assert (tmp_path / "work_dirs" / "demo" / picture).is_file()


def test_segmentation_predicts_into_a_folder_and_scores_as_mmseg_did(user, small, tmp_path):
    config = small("segmentation")
    assert pictures_in(user("train.py", config))
    flags = ("--out", tmp_path / "wrs", "--work-dir", tmp_path / "work")
    tested = user("test.py", config, config.parent / "work" / "iter_4.pth", *flags)
    assert len(list((tmp_path / "wrs").glob("*.png"))) == 4
    assert not list(tmp_path.glob(".unfinished*"))
    user("eval_miou.py", config, tmp_path / "wrs", "--out", tmp_path / "eval", "--pictures", 2)
    (row,) = json.loads((tmp_path / "eval" / "segmentation_metrics.json").read_text()).values()
    assert 100 * row["mIoU"] == pytest.approx(score_in(tested, "mIoU"), abs=0.006)
    assert (tmp_path / "eval" / "pictures.png").is_file()


@pytest.mark.mmpretrain
def test_classification_trains_tests_and_draws(user, small, tmp_path):
    config = small("classification")
    work = config.parent / "work"
    trained = user("train.py", config)
    assert "acts on 21 " in trained
    assert f"best checkpoint: {work / 'best_accuracy_top1_epoch_1.pth'}" in trained
    assert (work / "norms.png").is_file()
    flags = ("--out", tmp_path / "p.pkl", "--show-dir", "drawn", "--work-dir", tmp_path / "work")
    tested = user("test.py", config, work / "epoch_1.pth", *flags)
    predictions = pickle.loads((tmp_path / "p.pkl").read_bytes())
    right = sum(int(p["pred_label"]) == int(p["gt_label"]) for p in predictions)
    assert (len(predictions), score_in(tested, "accuracy/top1")) == (4, 100 * right / 4)
    assert len(list((tmp_path / "work" / "drawn").glob("*.png"))) == 4


def test_mmdets_own_train_script_runs_our_configs(small, tmp_path, monkeypatch):
    script = Path(pytest.importorskip("mmdet").__file__).parent / ".mim" / "tools" / "train.py"
    monkeypatch.setattr(sys, "argv", ["train.py", str(small("detection")), "--work-dir", str(tmp_path)])
    done = processes.command(lambda: runpy.run_path(str(script), run_name="__main__") and 0, tmp_path)
    assert done.returncode == 0, done.stderr[-9000:]
    assert "WeightRescaling(interval=2" in done.stdout + done.stderr
    assert (tmp_path / "epoch_1.pth").is_file()


@pytest.mark.mmpretrain
def test_a_resumed_classifier_ends_as_the_unbroken_one(user, small, tmp_path):
    """With random layers: PGD's scale-bias layers add noise."""
    exact = ("randomness.seed=0", "default_hooks.checkpoint.random_states=True")
    options = ("--cfg-options", "train_cfg.max_epochs=2", *exact)
    user("train.py", small("classification", "pgd"), "--work-dir", tmp_path / "unbroken", *options)
    half = tmp_path / "unbroken" / "epoch_1.pth"
    user("train.py", small("classification", "pgd"), "--work-dir", tmp_path / "rest", "--resume", half, *options)
    files = (half, tmp_path / "unbroken" / "epoch_2.pth", tmp_path / "rest" / "epoch_2.pth")
    first, unbroken, resumed = (torch.load(file, weights_only=False)["state_dict"] for file in files)
    assert all(torch.equal(value, resumed[name]) for name, value in unbroken.items())
    assert not torch.equal(unbroken["backbone.conv1.weight"], first["backbone.conv1.weight"])
