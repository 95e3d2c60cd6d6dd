"""`train` and `test` as a user runs them: on a small set, and where something is missing."""

import json
import os
import pickle
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from normreg_plugins.monitor import logged_scores

pytestmark = pytest.mark.mm
ROOT = Path(__file__).resolve().parents[2]

SMALL = """
_base_ = {base!r}
data_root = {data!r}
model = dict(
    backbone=dict(
        _delete_=True, type="MobileNetV2", widen_factor=0.25, out_indices=(2, 4, 6)
    ),
    neck=dict(in_channels=[80, 24, 8], out_channels=[16, 16, 16]),
    bbox_head=dict(in_channels=[16, 16, 16], out_channels=[16, 16, 16]),
)
train_dataloader = dict(num_workers=0, persistent_workers=False, batch_size=4,
    dataset=dict(data_root=data_root, filter_cfg=None))
val_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
val_evaluator = [
    dict(type="CocoMetric", ann_file=data_root + "annotations/val.json", metric="bbox"),
    dict(type="NormRegPrecisionRecallMetric", ann_file=data_root + "annotations/val.json"),
]
test_evaluator = val_evaluator
train_cfg = dict(max_epochs=1, val_interval=1)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type="SGD", lr=0.001),
    clip_grad=None,
    regularizer=dict(interval=2),
)
default_hooks = dict(monitor=dict(interval=1), checkpoint=dict(save_best=None))
# The few boxes that an untrained net puts out are enough to see them saved.
model["test_cfg"] = dict(score_thr=0.0, conf_thr=0.0)
work_dir = {work!r}
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A detector of a few thousand weights on twelve drawn images; its config file."""
    folder = tmp_path_factory.mktemp("small")
    make = [sys.executable, ROOT / "tools" / "data" / "make_mini_data.py", "detection"]
    options = ["--out", folder / "data", "--train", "8", "--val", "4", "--size", "96"]
    subprocess.run([*map(str, make + options)], check=True, capture_output=True)
    config = folder / "small.py"
    base = str(ROOT / "configs" / "mini" / "yolov3_wrs.py")
    config.write_text(SMALL.format(base=base, data=f"{folder / 'data'}/", work=str(folder / "work")))
    return config


@pytest.mark.slow
def test_it_trains_resumes_tests_and_scores(run_tool, small, tmp_path):
    work = small.parent / "work"
    trained = run_tool("train.py", small)
    assert trained.returncode == 0, trained.stderr
    assert f"work dir: {work}" in trained.stdout
    assert (work / "epoch_1.pth").is_file()
    pictures = [line for line in trained.stdout.splitlines() if line.startswith("picture: ")]
    names = {Path(line.removeprefix("picture: ")).name for line in pictures}
    assert "norms.png" in names
    assert any(name.startswith("val_img") for name in names)
    assert all(Path(line.removeprefix("picture: ")).is_file() for line in pictures)

    resumed = run_tool("train.py", small, "--resume", "--cfg-options", "train_cfg.max_epochs=2")
    assert resumed.returncode == 0, resumed.stderr
    assert "Epoch(train) [1]" not in resumed.stdout
    assert (work / "epoch_2.pth").is_file()

    drawn = tmp_path / "drawn"
    predictions = tmp_path / "p.pkl"
    flags = ("--out", predictions, "--show-dir", drawn, "--work-dir", tmp_path / "work")
    tested = run_tool("test.py", small, work / "epoch_2.pth", *flags)
    assert tested.returncode == 0, tested.stderr
    assert len(pickle.loads(predictions.read_bytes())) == 4
    drawings = [path for path in tmp_path.rglob("*.png") if "drawn" in path.parts]
    assert len(drawings) == 4
    assert not list(tmp_path.glob(".unfinished*"))

    annotations = small.parent / "data" / "annotations" / "val.json"
    scored = run_tool("eval_map.py", annotations, predictions, "--out", tmp_path / "eval")
    assert scored.returncode == 0, scored.stderr
    (row,) = json.loads((tmp_path / "eval" / "detection_metrics.json").read_text()).values()
    told = [line for line in tested.stdout.splitlines() if "bbox_mAP_50:" in line][-1]
    said = float(told.split("bbox_mAP_50:")[1].split()[0])
    assert row["mAP50"] == pytest.approx(said, abs=6e-4)  # mm prints three digits
    f1 = float(told.split("detection/best_f1:")[1].split()[0])
    assert row["best_f1"]["f1"] == pytest.approx(f1, abs=6e-4)
    scores, _ = logged_scores(work, ["detection/best_f1"])["detection/best_f1"]
    assert scores == [1, 2]  # each epoch, of the run and of the one that went on from it


@pytest.mark.slow
def test_mmdets_own_train_script_runs_our_configs(small, tmp_path):
    import mmdet

    script = Path(mmdet.__file__).parent / ".mim" / "tools" / "train.py"
    command = [sys.executable, script, small, "--work-dir", tmp_path / "work"]
    done = subprocess.run(
        [*map(str, command)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "WeightRescaling(interval=2" in done.stdout + done.stderr
    assert (tmp_path / "work" / "epoch_1.pth").is_file()


@pytest.mark.slow
def test_two_ranks_on_cpus_train_and_score_through_the_launchers(small, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    env = {**os.environ, "PYTHON": sys.executable, "OMP_NUM_THREADS": "1", "PORT": port}
    work = ("--work-dir", tmp_path / "work")
    commands = (
        ("dist_train.sh", small, 2, *work),
        ("dist_test.sh", small, tmp_path / "work" / "epoch_1.pth", 2, "--out", tmp_path / "p.pkl"),
    )
    for script, *args in commands:
        done = subprocess.run(
            [*map(str, (ROOT / "tools" / script, *args))],
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
    assert len(pickle.loads((tmp_path / "p.pkl").read_bytes())) == 4


@pytest.fixture
def refused(tool, monkeypatch, tmp_path):
    """Run a command in this process, in an empty folder; it must end with code 2. What it says."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))

    def run(name, *args):
        done = tool(f"{name}.py", *args)
        assert done.returncode == 2
        return done.stderr

    return run


@pytest.mark.parametrize(
    ("config", "data", "weights"),
    [
        ("yolov3_wrs.py", "https://cocodataset.org/#download", "darknet53-a628ea1b.pth"),
        ("yolov3_wrs_stock.py", "https://cocodataset.org/#download", "darknet53-a628ea1b.pth"),
        ("csrnet_wrs.py", "normreg prepare-qnrf UCF-QNRF_ECCV18 data/qnrf", "vgg16_bn-6c64b313.pth"),
    ],
)
def test_without_data_it_says_what_to_do_and_builds_nothing(refused, tmp_path, config, data, weights):
    said = refused("train", ROOT / "configs" / config)
    assert data in said
    assert re.search(rf"curl .*{weights}", said)
    mini = f"mini/{config.split('_')[0]}_wrs.py"
    assert re.search(rf"normreg make-mini-data \w+ && .*normreg train {mini}", said)
    assert (ROOT / "configs" / mini).is_file()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ((), "--split-batch  keeps the protocol: 4 images on each of 2 GPUs"),
        (("--auto-scale-lr",), "--auto-scale-lr: {config} is a paper's protocol"),
        (("--split-batch", "--cfg-options", "train_dataloader.batch_size=3"), "{config} cannot run here yet"),
        (("--grow-batch",), "{config} cannot run here yet"),  # the batch is settled, the data are missing
    ],
)
def test_a_protocol_on_two_gpus_needs_to_know_what_to_do_with_its_batch(refused, monkeypatch, flags, words):
    monkeypatch.setenv("WORLD_SIZE", "2")
    config = "yolov3_wrs.py"  # named as the user named it, not by its path
    assert words.format(config=config) in refused("train", config, "--launcher", "pytorch", *flags)


def test_only_one_rank_says_why_training_stops(refused, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert refused("train", ROOT / "configs" / "yolov3_wrs.py", "--launcher", "pytorch") == ""


@pytest.mark.parametrize(
    ("name", "args", "words"),
    [
        ("train", ("nowhere.py",), "there is no config nowhere.py"),
        ("train", ("SMALL", "--auto-scale-lr"), "has no auto_scale_lr.base_batch_size"),
        ("train", ("SMALL", "--resume", "gone.pth"), "--resume gone.pth: there is no such file"),
        ("test", ("SMALL", "gone.pth"), "checkpoint gone.pth: there is no such file"),
        ("test", ("SMALL", "gone.pth", "--out", "p.json"), "must end in .pkl"),
        ("test", ("SMALL", "gone.pth", "--out", "there.pkl"), "there.pkl exists"),
    ],
)
def test_what_cannot_work_is_refused_in_one_sentence(refused, small, tmp_path, name, args, words):
    (tmp_path / "there.pkl").write_text("precious")
    said = refused(name, *(small if arg == "SMALL" else arg for arg in args))
    assert words in said
    assert "--cfg-options" not in said
    assert "mini" not in said.replace(str(small), "")
    assert (tmp_path / "there.pkl").read_text() == "precious"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_mixed_precision_without_a_gpu_is_refused(refused, small):
    assert "needs a GPU" in refused("train", small, "--amp")


def test_a_wrong_option_of_a_method_ends_without_a_traceback(run_tool, small, tmp_path):
    option = "optim_wrapper.regularizer.interval=0"
    done = run_tool("train.py", small, "--work-dir", tmp_path, "--cfg-options", option)
    assert done.returncode == 2
    assert "normreg train: interval=0" in done.stderr
    assert "Traceback" not in done.stderr


def test_our_config_is_found_by_its_name_and_a_file_of_that_name_comes_first(tmp_path, monkeypatch):
    from normreg_plugins.cli.mm_runs import config_of, find_config

    monkeypatch.chdir(tmp_path)
    assert config_of("mini/yolov3_wrs.py").optim_wrapper.regularizer.type == "WRS"
    (tmp_path / "mini").mkdir()
    (tmp_path / "mini/yolov3_wrs.py").write_text("")
    assert find_config("mini/yolov3_wrs.py") == Path("mini/yolov3_wrs.py")


def test_a_config_may_import_a_module_of_the_working_directory(tmp_path, monkeypatch):
    from normreg_plugins.cli.mm_runs import config_of

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "my_module_beside_the_config.py").write_text("found = True")
    (tmp_path / "mine.py").write_text('custom_imports = dict(imports=["my_module_beside_the_config"])')
    config_of("mine.py")
    assert sys.modules.pop("my_module_beside_the_config").found
