import json
import subprocess
import sys

import pytest

pytest.importorskip("ultralytics")

from helpers.tiny_yolo import OFFLINE, tiny_net

from normreg_plugins.cli.data.make_mini_data import make_mini_set

pytestmark = pytest.mark.ultralytics


@pytest.fixture
def run_inside(run_tool, tmp_path, monkeypatch):
    """Run a tool in an empty folder, as a user whose settings lie where ultralytics keeps them by default."""
    monkeypatch.delenv("YOLO_CONFIG_DIR")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("YOLO_OFFLINE", "true")
    (tmp_path / "home").mkdir()
    theirs = "from ultralytics import settings; settings.update(datasets_dir='my_data', wandb=False)"
    subprocess.run([sys.executable, "-c", theirs], check=True, capture_output=True)

    def run(name, *args):
        return run_tool(name, *args, cwd=tmp_path)

    return run


def pairs(settings):
    return [f"{key}={value}" for key, value in settings.items()]


def test_a_training_from_the_shell(run_inside, tmp_path):
    make_mini_set("yolo", tmp_path / "set", train=4, val=2, size=64)
    (tmp_path / "args.yaml").write_text(
        f"data: {tmp_path}/set/data.yaml\nwrs:\n  interval: 7\n  select: model.0.conv\n"
    )
    net = tiny_net(tmp_path)

    train = ("detect", "train", f"model={net}", "cfg=args.yaml", "wrs.interval=2", *pairs(OFFLINE))
    done = run_inside("yolo/train_ultralytics.py", *train)
    assert done.returncode == 0, done.stderr[-2000:]
    folder = tmp_path / "work_dirs" / "ultralytics" / "train"
    assert "WeightRescaling(interval=2," in done.stdout + done.stderr
    assert "acts on 1 of 24" in done.stdout + done.stderr
    assert "norms/mean" in (folder / "results.csv").read_text()
    settings = json.loads((tmp_path / "home" / ".config" / "Ultralytics" / "settings.json").read_text())
    assert (settings["datasets_dir"], settings["wandb"]) == ("my_data", False)
    assert not [path for path in tmp_path.rglob("settings.json") if "home" not in path.parts]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["wrs.intervall=3", "model=tiny.yaml"], "did you mean 'interval'?"),
        (
            ["wsr.interval=3", "model=tiny.yaml"],
            "wsr.interval is no key of ultralytics or of a method; did you mean wr",
        ),
        (["epoch=3", "model=tiny.yaml", "wrs"], "did you mean epochs"),
        (["trian"], "did you mean train"),
        (["val", "model=best.pt"], "use `yolo val`"),
        (["wrs"], "model= is missing"),
        (["cfg=nowhere.yaml"], "cfg=nowhere.yaml: there is no such file"),
    ],
)
def test_what_cannot_run_is_said_before_anything_is_built(tool, arguments, message):
    done = tool("yolo/train_ultralytics.py", *arguments)
    assert done.returncode == 2
    assert message in done.stderr


def test_help_lists_our_keys(tool):
    shown = tool("yolo/train_ultralytics.py", "--help").stdout
    for key in ("wrs.interval", "aws.alpha", "pgd.c", "wrs.decay_on", "https://docs.ultralytics.com/usage/cfg"):
        assert key in shown


def test_the_yolo_set_is_the_coco_set_in_another_layout(tmp_path):
    for kind in ("yolo", "detection"):
        make_mini_set(kind, tmp_path / kind, train=3, val=2, size=64, seed=5)
    for split in ("train", "val"):
        text = (tmp_path / "detection" / "annotations" / f"{split}.json").read_text()
        assert (tmp_path / "yolo" / "annotations" / f"{split}.json").read_text() == text
        coco = json.loads(text)
        for image in coco["images"]:
            name = image["file_name"]
            pixels = (tmp_path / "yolo" / "images" / split / name).read_bytes()
            assert pixels == (tmp_path / "detection" / split / name).read_bytes()
            *rows, end = (tmp_path / "yolo" / "labels" / split / name).with_suffix(".txt").read_text().split("\n")
            boxes = [a for a in coco["annotations"] if a["image_id"] == image["id"]]
            assert end == ""
            for row, annotation in zip(rows, boxes, strict=True):
                label, x, y, w, h = (float(value) for value in row.split())
                assert label == annotation["category_id"] - 1
                box = [64 * (x - w / 2), 64 * (y - h / 2), 64 * w, 64 * h]
                assert box == pytest.approx(annotation["bbox"], abs=1e-3)
