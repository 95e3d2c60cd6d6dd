"""The crowd tools as commands, from raw data to a counted picture."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))


@pytest.fixture
def tool(capsys):
    """Run a tool's main() here, as fast as that, and return what its command would."""

    def run(name, *args):
        capsys.readouterr()
        try:
            code = importlib.import_module(name.removesuffix(".py")).main([*map(str, args)])
        except SystemExit as end:
            code = end.code
        out, err = capsys.readouterr()
        return SimpleNamespace(returncode=code, stdout=out, stderr=err)

    return run


def draw_raw(folder: Path, train: int = 6, test: int = 2) -> Path:
    from dataclasses import replace

    from mini_data import crowd
    from mini_data.recipe import make_once

    make_once(folder, replace(crowd.RECIPE, train=train, val=test, size=64), crowd.draw)
    return folder


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    return draw_raw(tmp_path_factory.mktemp("raw") / "crowd")


def names(out: Path, split: str) -> list[str]:
    return [record["name"] for record in json.loads((out / f"{split}.json").read_text())["images"]]


# ---- the drawn set


def test_drawn_crowds_are_the_same_each_time_and_have_their_people(tmp_path):
    from scipy.io import loadmat

    one, two = draw_raw(tmp_path / "one"), draw_raw(tmp_path / "two")
    for path in sorted(one.glob("*/*.jpg")):
        same = two / path.relative_to(one)
        assert path.read_bytes() == same.read_bytes()
        points = loadmat(path.with_name(f"{path.stem}_ann.mat"))["annPoints"]
        np.testing.assert_array_equal(points, loadmat(same.with_name(f"{path.stem}_ann.mat"))["annPoints"])
        with Image.open(path) as image:
            assert min(image.size) == 64
            assert (points > 0).all()
            assert (points < image.size).all()
    counts = [len(loadmat(path)["annPoints"]) for path in one.glob("*/*_ann.mat")]
    assert len(counts) == 8
    assert len(set(counts)) > 4


# ---- prepare


def test_prepare_splits_reports_and_goes_on(tool, raw, tmp_path):
    out = tmp_path / "out"
    done = tool("prepare_qnrf.py", raw, out, "--sides", 64, 128, "--val", 2, "--workers", 2)
    assert done.returncode == 0, done.stderr
    train, val, test = (names(out, split) for split in ("train", "val", "test"))
    assert sorted(train + val) == [f"img_{number:04d}" for number in range(1, 7)]
    assert len(val) == 2
    assert len(test) == 2
    assert "val: 2 images" in done.stdout
    assert json.loads((out / "report.json").read_text())["left_out"] == []

    again = tool("prepare_qnrf.py", raw, out, "--sides", 64, 128, "--val", 2)
    assert again.returncode == 0
    other = tool("prepare_qnrf.py", raw, out, "--sides", 64, 128, "--val", 3)
    assert other.returncode == 2
    assert "other settings" in other.stderr
    assert "Traceback" not in other.stderr


def test_prepare_says_what_it_left_out(tool, tmp_path):
    raw = draw_raw(tmp_path / "raw")
    (raw / "Train/img_0002.jpg").write_bytes(b"no picture")
    savemat(raw / "Train/img_0003_ann.mat", {"annPoints": [[5.0, 5.0], [5.0, 5.0], [500.0, 5.0]]})
    done = tool("prepare_qnrf.py", raw, tmp_path / "out", "--sides", 64, 128, "--val", 1)
    assert done.returncode == 1
    assert "left out: " in done.stderr
    assert "img_0002.jpg" in done.stderr
    assert "odd: points outside: 1 in 1 images, e.g. " in done.stdout
    assert "odd: duplicate points: 1 in 1 images" in done.stdout
    assert len(names(tmp_path / "out", "train") + names(tmp_path / "out", "val")) == 5


def test_prepare_takes_a_published_split(tool, raw, tmp_path):
    train, val = tmp_path / "train.txt", tmp_path / "val.txt"
    train.write_text("img_0005.jpg\nimg_0001.jpg\n\n")
    val.write_text("img_0003\n")
    arguments = (raw, tmp_path / "out", "--sides", 64, 128, "--lists", train, val)
    assert tool("prepare_qnrf.py", *arguments).returncode == 0
    assert names(tmp_path / "out", "train") == ["img_0005", "img_0001"]
    assert names(tmp_path / "out", "val") == ["img_0003"]
    for text, message in (
        ("img_0001\n", "in both lists, e.g. img_0001"),
        ("img_9999\n", "1 unknown images, e.g. img_9999"),
        ("img_0002\nimg_0002.jpg\n", "names an image twice"),
    ):
        val.write_text(text)
        refused = tool("prepare_qnrf.py", *arguments)
        assert refused.returncode == 2
        assert message in refused.stderr


def test_prepare_refuses_what_is_no_data_set(tool, raw, tmp_path):
    for arguments, message in (
        ((tmp_path, tmp_path / "out"), "not an unpacked UCF-QNRF"),
        ((raw, tmp_path / "out", "--val", 6), "there are 6 training images"),
        ((raw, tmp_path / "out", "--val", 2, "--sides", 99, 64), "99, 64"),
    ):
        refused = tool("prepare_qnrf.py", *arguments)
        assert refused.returncode == 2
        assert message in refused.stderr
        assert "Traceback" not in refused.stderr


def test_prepare_shanghaitech(tool, raw, tmp_path):
    from helpers.annotations import shanghaitech_file
    from scipy.io import loadmat

    part = tmp_path / "part_A"
    for old, new in (("Train", "train_data"), ("Test", "test_data")):
        (part / new / "images").mkdir(parents=True)
        (part / new / "ground_truth").mkdir()
        for number, path in enumerate(sorted((raw / old).glob("*.jpg")), start=1):
            (part / new / "images" / f"IMG_{number}.jpg").write_bytes(path.read_bytes())
            points = loadmat(path.with_name(f"{path.stem}_ann.mat"))["annPoints"]
            shanghaitech_file(part / new / "ground_truth" / f"GT_IMG_{number}.mat", points)
    out = tmp_path / "out"
    done = tool("prepare_shanghaitech.py", part, out, "--val", 2, "--sides", 64, 128)
    assert done.returncode == 0, done.stderr
    qnrf = tmp_path / "qnrf"
    tool("prepare_qnrf.py", raw, qnrf, "--val", 2, "--sides", 64, 128)
    counts, same = (
        [record["count"] for record in json.loads((folder / "test.json").read_text())["images"]]
        for folder in (out, qnrf)
    )
    assert counts == same
    assert "no part of ShanghaiTech" in tool("prepare_shanghaitech.py", raw, out).stderr


# ---- evaluate


@pytest.fixture
def annotated(tool, raw, tmp_path):
    """A prepared set, and predictions for its test split: true counts plus 2, all in one cell."""
    from normreg_plugins.evaluation import save_counts, save_map

    tool("prepare_qnrf.py", raw, tmp_path / "data", "--val", 2, "--sides", 64, 128)
    records = json.loads((tmp_path / "data/test.json").read_text())["images"]
    for record in records:
        density = np.zeros((-(-record["height"] // 8), -(-record["width"] // 8)), dtype=np.float32)
        density[0, 0] = record["count"] + 2
        save_map(tmp_path / "predictions", record["name"], density)
    save_counts(tmp_path / "predictions", {r["name"]: r["count"] + 2 for r in records})
    return tmp_path, records


def test_eval_mae_prints_all_errors(tool, annotated):
    folder, records = annotated
    low, high = sorted(record["count"] for record in records)
    data = folder / "data"
    arguments = ("--bands", (low + high) / 2, "--baseline", data / "train.json")
    done = tool("eval_mae.py", folder / "predictions", data / "test.json", *arguments)
    assert done.returncode == 0, done.stderr
    assert "all 2 images: MAE 2.00, RMSE ('MSE') 2.00, bias +2.00" in done.stdout
    assert done.stdout.count(": 1 images: MAE 2.00") == 2
    assert "GAME(0): 2.00" in done.stdout
    deepest = float(done.stdout.split("GAME(3): ")[1].split()[0])
    assert deepest > np.mean([low, high])  # nearly everybody is elsewhere
    train = [record["count"] for record in json.loads((data / "train.json").read_text())["images"]]
    baseline = np.abs(np.array([low, high]) - np.mean(train)).mean()
    assert f"always {np.mean(train):.1f}: MAE {baseline:.2f}" in done.stdout


def test_eval_mae_wants_the_same_images(tool, annotated):
    from normreg_plugins.evaluation import save_counts

    folder, records = annotated
    index = folder / "data/test.json"
    counts = {record["name"]: 1.0 for record in records}
    save_counts(folder / "predictions", {**counts, "stranger": 1.0})
    assert (
        "1 predictions are of other images, e.g. stranger" in tool("eval_mae.py", folder / "predictions", index).stderr
    )
    counts.popitem()
    save_counts(folder / "predictions", counts)
    assert "1 images have no prediction" in tool("eval_mae.py", folder / "predictions", index).stderr
    missing = tool("eval_mae.py", folder / "nothing", index)
    assert (missing.returncode, "Traceback" in missing.stderr) == (2, False)


# ---- count pictures


@pytest.mark.mm
def test_infer_counts_any_picture(tool, tmp_path):
    pytest.importorskip("mmengine")
    import torch
    from mmengine.config import Config
    from mmengine.registry import MODELS

    import normreg_plugins.hosts.mmengine.crowd  # noqa: F401

    cfg = Config.fromfile(ROOT / "configs/mini/csrnet_wd.py")
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    torch.nn.init.normal_(model.backbone.output.weight, std=1.0)
    checkpoint = {"state_dict": model.state_dict(), "meta": {"cfg": cfg.pretty_text}}
    torch.save(checkpoint, tmp_path / "net.pth")

    pixels = np.random.default_rng(0).integers(0, 255, (60, 90, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "plain.png")
    Image.fromarray(np.rot90(pixels).copy()).save(tmp_path / "phone.tif", exif=exif)
    Image.fromarray(pixels).convert("CMYK").save(tmp_path / "print.jpg")
    Image.fromarray(pixels[..., 0].astype(np.uint16) * 257).save(tmp_path / "deep.png")
    Image.fromarray(pixels[:1, :1]).save(tmp_path / "dot.png")
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    pictures = [
        tmp_path / name for name in ("plain.png", "phone.tif", "broken.jpg", "print.jpg", "deep.png", "dot.png")
    ]
    out = tmp_path / "counted"
    done = tool(
        "infer_crowd.py", tmp_path / "net.pth", *pictures, "--sides", 48, 64, "--tile", 64, "--out", out, "--save"
    )
    assert done.returncode == 1
    assert "broken.jpg: cannot be read as a picture" in done.stderr
    assert "Traceback" not in done.stderr
    counts = json.loads((out / "predictions.json").read_text())["counts"]
    assert set(counts) == {"plain", "phone", "print", "deep", "dot"}
    assert counts["phone"] == pytest.approx(counts["plain"], rel=1e-5)  # seen upright, they are alike
    for name, number in counts.items():
        assert number > 0
        assert f"{name}." in done.stdout
        assert np.load(out / f"{name}.npy").sum() == pytest.approx(number, rel=1e-4)
        with Image.open(out / f"{name}_count.jpg") as drawn:
            assert drawn.width >= 48

    for arguments, message in (
        ((tmp_path / "none.pth", pictures[0]), "there is no checkpoint"),
        ((pictures[0], pictures[0]), "cannot be read as weights only"),
        ((tmp_path / "net.pth", pictures[0], tmp_path / "plain.jpg"), "the same name"),
        ((tmp_path / "net.pth", pictures[0], "--sides", 9, 8), "--sides: bounds"),
    ):
        refused = tool("infer_crowd.py", *arguments)
        assert refused.returncode == 2
        assert message in refused.stderr
        assert "Traceback" not in refused.stderr


def test_the_benchmark_compares_equal_losses(tool):
    done = tool("benchmark_bayesian_loss.py", "--points", 60, "--rounds", 1)
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("| ") and "60" in line]
    assert len(rows) == 6
    for row in rows:
        *_, dense_memory, our_memory, error, _ = (cell.strip() for cell in row.split("|"))
        assert float(error) < 1e-4
        assert 0 < float(our_memory) < float(dense_memory)


@pytest.mark.parametrize("name", ["prepare_qnrf", "eval_mae"])
def test_tools_start_from_any_folder(name, tmp_path):
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / f"{name}.py"), "--help"],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"tools/{name}.py" in done.stdout


@pytest.mark.mm
def test_training_without_data_says_how_to_get_it(tmp_path):
    pytest.importorskip("mmengine")
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "train.py"), str(ROOT / "configs" / "csrnet_wrs.py")],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "TORCH_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "python tools/prepare_qnrf.py UCF-QNRF_ECCV18 data/qnrf" in done.stderr
    assert "vgg16_bn-6c64b313.pth" in done.stderr
    assert "make_mini_data.py crowd && python tools/prepare_qnrf.py data/mini/crowd" in done.stderr
    assert "configs/mini/csrnet_wrs.py" in done.stderr
