"""What a classification set lacks is said before anything is built, with the command that gets it."""

import hashlib
import pickle
from pathlib import Path

import pytest
from helpers.config_keys import CONFIGS, load
from mmengine.config import Config

from normreg_plugins.cli.preflight import installed_host
from normreg_plugins.cli.preflight.check import PreflightError, check, problems_of
from normreg_plugins.cli.preflight.where_to_get import where_to_get

pytestmark = pytest.mark.mmpretrain


def config(**dataset):
    return {
        "default_scope": "mmpretrain",
        "model": {"head": {"num_classes": 2}},
        "train_dataloader": {"dataset": {"type": "CustomDataset", "data_prefix": "train", **dataset}},
    }


def what(cfg):
    return [problem.what for problem in problems_of(cfg, ("train",))]


@pytest.fixture
def folders(tmp_path):
    for name in ("cat/a.png", "dog/b.png"):
        (tmp_path / "train" / name).parent.mkdir(parents=True)
        (tmp_path / "train" / name).write_bytes(b"pixels")
    return tmp_path


def test_a_whole_set_has_no_problems(folders):
    check(config(data_root=str(folders)), ("train",))
    (folders / "train.txt").write_text("cat/a.png 0\ndog/b.png 1\n")
    check(config(data_root=str(folders), ann_file="train.txt"), ("train",))


def test_folders_without_images_and_another_number_of_classes(folders):
    (folders / "train" / "eel").mkdir()
    few, empty = what(config(data_root=str(folders)))
    assert "has a folder for each of 3 classes, but model.head.num_classes is 2" in few
    assert "1 classes have no image, such as eel" in empty
    (missing,) = what(config(data_root=str(folders), data_prefix="test"))
    assert "test: there is no such folder" in missing


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the list is empty"),
        ("cat/a.png\n", "1 lines are no file name and number, such as 'cat/a.png'"),
        ("cat/a.png 0\ncat/c.png 1\n", "1 of its 2 images are not in .*, such as cat/c.png"),
        ("cat/a.png 2\n", "has the class 2, but model.head.num_classes is 2"),
    ],
)
def test_a_list_is_read(folders, text, message):
    (folders / "train.txt").write_text(text)
    cfg = config(data_root=str(folders), ann_file="train.txt")
    with pytest.raises(PreflightError, match=message):
        check(cfg, ("train",))


@pytest.mark.parametrize(("name", "folder"), [("cifar10", "cifar-10-batches-py"), ("cifar100", "cifar-100-python")])
def test_cifar_is_fetched_by_the_user_and_its_checksums_are_checked(name, folder, tmp_path, monkeypatch):
    from mmpretrain import datasets

    cfg = Config(load(f"classification/resnet18_wrs_{name}"))
    monkeypatch.chdir(tmp_path)
    (problem,) = problems_of(cfg)
    assert problem.what.startswith(f"data/{name} does not exist")
    assert f"{name.replace('cifar', 'cifar-')}-python.tar.gz | tar xz -C data/{name}" in problem.get
    kind = getattr(datasets, name.upper())
    parts = [*kind.train_list, *kind.test_list]
    files = {Path("data") / name / folder / file: pickle.dumps(file) for file, _ in parts}
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    damaged = [problem.what for problem in problems_of(cfg)]
    assert len(damaged) == len(files)
    assert "is damaged: its MD5 is not" in damaged[0]
    right = [[path.name, hashlib.md5(content).hexdigest()] for path, content in files.items()]
    monkeypatch.setattr(kind, "train_list", right[:-1])
    monkeypatch.setattr(kind, "test_list", right[-1:])
    assert problems_of(cfg) == []
    next(iter(files)).unlink()
    (absent,) = problems_of(cfg)
    assert f"{next(iter(files))} does not exist" in absent.what
    assert "tar xz" in absent.get


def test_every_set_has_its_own_way():
    assert "tiny-imagenet-200.zip" in where_to_get(Path("data/tinyimagenet"))
    assert "ILSVRC2012" in where_to_get(Path("data/imagenet"))
    assert where_to_get(Path("data/mini/classification/train")).endswith("make_mini_data.py classification")


def test_without_mmpretrain_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(installed_host, "find_spec", lambda _: None)
    (problem,) = problems_of(Config.fromfile(CONFIGS / "mini" / "resnet18_wd.py"))
    assert problem.what == "mmpretrain is not installed"
    assert 'pip install ".[mmpretrain]"' in problem.get
    assert "--cfg-options" not in str(problem)
