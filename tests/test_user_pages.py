"""The code of the pages for users runs and prints what they say."""

import ast
import dataclasses
import re
from pathlib import Path

import pytest
from test_readme import run_page

from normreg_plugins import Hyperball, WeightRescaling
from normreg_plugins.hosts import methods

ROOT = Path(__file__).parents[1]
RUNNABLE = ["docs/fine_tuning.md", "docs/own_method.md", "docs/methods/hyperball.md"]


@pytest.mark.parametrize("page", RUNNABLE)
def test_code_runs_and_prints_what_the_page_says(page, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = dict(methods.METHODS)
    run_page(page)
    methods.METHODS.clear()
    methods.METHODS.update(before)


def test_the_card_of_hyperball_tells_every_setting_and_its_default() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", (ROOT / "docs/methods/hyperball.md").read_text(), re.MULTILINE)
    told = {name: None if shown == "none" else ast.literal_eval(shown.strip("`")) for name, shown in rows}
    assert told == {field.name: field.default for field in dataclasses.fields(Hyperball)}


@pytest.mark.mm
def test_the_mm_config_for_fine_tuning_is_one(tmp_path) -> None:
    from mmengine.config import Config

    from normreg_plugins.hosts.mmengine import build_regularizer

    page = (ROOT / "docs/fine_tuning.md").read_text()
    code, pgd = re.findall(r"^```py\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "mine.py").write_text(code)
    (tmp_path / "pgd.py").write_text(f"_base_ = './mine.py'\n{pgd}")
    on_sphere = Config.fromfile(tmp_path / "pgd.py")
    assert (on_sphere.load_from, on_sphere.optim_wrapper.regularizer.center) == (None, False)
    assert on_sphere.model.init_cfg.checkpoint == Config.fromfile(tmp_path / "mine.py").load_from
    config = Config.fromfile(tmp_path / "mine.py")
    for loader in (config.train_dataloader, config.val_dataloader):
        assert loader.dataset.type == "CocoDataset"
        assert loader.dataset.data_root == "data/mini/detection/"
        assert config.model.bbox_head.num_classes == len(loader.dataset.metainfo.classes)
    assert config.val_evaluator.ann_file == "data/mini/detection/annotations/val.json"
    assert build_regularizer(config.optim_wrapper.regularizer).radius == "initial"


@pytest.mark.ultralytics
def test_the_ultralytics_command_for_fine_tuning_is_one() -> None:
    pytest.importorskip("ultralytics")
    from normreg_plugins.cli.train_ultralytics import parse
    from normreg_plugins.hosts.methods import take_method

    page = (ROOT / "docs/fine_tuning.md").read_text().replace("\\\n", " ")
    (words,) = re.findall(r"normreg train-ultralytics (.*)$", page, re.MULTILINE)
    settings = parse(words.split())
    assert take_method(settings) == WeightRescaling(interval=10, radius="initial")
    assert (settings["optimizer"], settings["lr0"], settings["model"]) == ("SGD", 0.01, "yolo11n.pt")
