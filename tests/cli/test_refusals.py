"""`train` and `test` where something is missing: each says what to do, in one message, before anything is built."""

import re
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("mmengine")

from helpers import mm_toy

from normreg_plugins.cli import mm_runs

pytestmark = pytest.mark.mm
ROOT = Path(__file__).resolve().parents[2]
MINI = "mini/yolov3_wrs.py"
CIFAR = min(f"classification/{path.stem}" for path in (ROOT / "configs/classification").glob("resnet18*wrs*"))


@pytest.fixture
def refused(tool, monkeypatch, tmp_path):
    """Run a command in this process, in an empty folder; it must end with code 2. What it says."""
    monkeypatch.chdir(tmp_path)

    def run(name, *args):
        done = tool(f"{name}.py", *args)
        assert done.returncode == 2
        return done.stderr

    return run


@pytest.mark.parametrize(
    ("config", "data", "mini"),
    [
        ("yolov3_wrs", "https://cocodataset.org/#download", "detection && normreg train mini/yolov3_wrs.py"),
        ("csrnet_wrs", "normreg prepare-qnrf UCF-QNRF_ECCV18 data/qnrf", "normreg train mini/csrnet_wrs.py"),
        (CIFAR, "kriz/cifar-10", "classification && normreg train mini/resnet18_wrs.py"),
    ],
)
def test_without_data_it_says_what_to_do_and_builds_nothing(refused, tmp_path, config, data, mini):
    if "cifar" in config:
        pytest.importorskip("mmpretrain")
    said = refused("train", ROOT / "configs" / f"{config}.py")
    assert data in said
    assert re.search(rf"normreg make-mini-data .*{mini}", said)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ((), "--split-batch keeps the protocol: 4 images per GPU"),
        (("--auto-scale-lr",), "--auto-scale-lr: {config} is a paper's protocol"),
        (("--split-batch", "--cfg-options", "train_dataloader.batch_size=3"), "{config} cannot run here yet"),
    ],
)
def test_a_protocol_on_two_gpus_needs_to_know_what_to_do_with_its_batch(refused, monkeypatch, flags, words):
    monkeypatch.setenv("WORLD_SIZE", "2")
    config = "yolov3_wrs.py"  # named as the user named it, not by its path
    assert words.format(config=config) in refused("train", config, "--launcher", "pytorch", *flags)
    if "cannot run here" not in words:
        monkeypatch.setenv("LOCAL_RANK", "1")  # only one rank says why
        assert refused("train", config, "--launcher", "pytorch", *flags) == ""


@pytest.mark.parametrize(
    ("name", "args", "words"),
    [
        ("train", ("nowhere.py",), "there is no config nowhere.py"),
        ("train", (MINI, "--auto-scale-lr"), "has no auto_scale_lr.base_batch_size"),
        ("train", (MINI, "--resume", "gone.pth"), "--resume gone.pth: there is no such file"),
        ("train", (MINI, "--amp"), "--amp: mm's mixed precision needs a GPU"),
        ("test", (MINI, "gone.pth"), "checkpoint gone.pth: there is no such file"),
        ("test", (MINI, "gone.pth", "--out", "p.pkl"), "must end in .json"),
        ("test", (MINI, "gone.pth", "--out", "there.json"), "there.json exists"),
        ("test", ("mini/deeplabv3_wrs.py", "gone.pth", "--out", "p.pkl"), "must name a folder, for PNG masks"),
    ],
)
def test_what_cannot_work_is_refused_in_one_sentence(refused, tmp_path, name, args, words, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", bool)
    (tmp_path / "there.json").write_text("precious")
    said = refused(name, *args)
    assert words in said
    assert "--cfg-options" not in said
    assert (tmp_path / "there.json").read_text() == "precious"


def test_what_mm_cannot_fetch_is_named_with_its_place(tool, tmp_path):
    mm_toy.config(tmp_path / "work", load_from="http://127.0.0.1:9/net.pth").dump(tmp_path / "mine.py")
    done = tool("train.py", tmp_path / "mine.py")
    assert done.returncode == 2
    said = (done.stdout + done.stderr).splitlines()  # torch < 2.4 names the place in stderr
    fetched = [line for line in said if line.startswith("Downloading: ")]
    assert fetched[-1].startswith('Downloading: "http://127.0.0.1:9/net.pth" to ')
    assert "refused>: put the file of the last line 'Downloading' where it says" in done.stderr.splitlines()[-1]


def test_our_config_is_found_by_its_name_and_a_file_of_that_name_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert mm_runs.config_of("mini/yolov3_wrs.py").optim_wrapper.regularizer.type == "WRS"
    (tmp_path / "mini").mkdir()
    (tmp_path / "mini/yolov3_wrs.py").write_text("mine = True")
    assert mm_runs.config_of("mini/yolov3_wrs.py").mine


def test_a_config_may_import_a_module_of_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "my_module_beside_the_config.py").write_text("found = True")
    (tmp_path / "mine.py").write_text('custom_imports = dict(imports=["my_module_beside_the_config"])')
    mm_runs.config_of("mine.py")
    assert sys.modules.pop("my_module_beside_the_config").found
