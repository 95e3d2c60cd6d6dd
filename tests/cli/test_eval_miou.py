"""`eval-miou` on drawn masks, in this process: its numbers, its pictures, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("mmseg")

from normreg_plugins.cli import eval_miou
from normreg_plugins.evaluation.segmentation import read_mask, save_mask

pytestmark = pytest.mark.mm
CONFIG = """
default_scope = "mmseg"
test_dataloader = dict(dataset=dict(
    type="BaseSegDataset", data_root={root!r}, metainfo=dict(classes=("ground", "cat", "dog"), palette=[[0, 0, 0],
    [200, 0, 0], [0, 0, 200]]), data_prefix=dict(img_path="images", seg_map_path="masks"), ann_file="list.txt",
    pipeline=[]))
test_evaluator = dict(type="IoUMetric")
"""


@pytest.fixture
def data(tmp_path):
    """Three images of 6 x 4 pixels: ground, a column of cat, a column of dog, an ignored corner."""
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    for name in "abc":
        Image.new("RGB", (6, 4), (120, 120, 120)).save(tmp_path / "images" / f"{name}.jpg")
        mask = np.zeros((4, 6), dtype=np.uint8)
        mask[:, 1], mask[:, 4], mask[0, 0] = 1, 2, 255
        save_mask(mask, tmp_path / "masks" / f"{name}.png")
    (tmp_path / "list.txt").write_text("a\nb\nc\n")
    (tmp_path / "config.py").write_text(CONFIG.format(root=str(tmp_path)))
    return tmp_path


def predict(data, name, change=lambda mask: mask):
    (data / name).mkdir()
    for file in (data / "masks").iterdir():
        mask = read_mask(file).copy()
        mask[mask == 255] = 0
        save_mask(change(mask), data / name / file.name)
    return data / name


def no_dogs(mask):
    return np.where(mask == 2, 0, mask).astype(np.uint8)


def one_dog_less(mask):
    return np.where(np.arange(24).reshape(4, 6) == 22, 0, mask).astype(np.uint8)


@pytest.fixture
def run(tool, data):
    """Run it in this process, which is faster: what it returned, printed and complained of."""

    def run(*args):
        done = tool("eval_miou.py", data / "config.py", *args)
        return done.returncode, done.stdout, done.stderr

    return run


def test_numbers_and_pictures(run, data):
    out = data / "eval"
    right, wrong = predict(data, "right"), predict(data, "wrong", no_dogs)
    code, told, complaint = run(right, wrong, "--out", out, "--pictures", 2)
    assert code == 0, complaint
    metrics = json.loads((out / eval_miou.METRICS).read_text())
    assert metrics["right"]["mIoU"] == metrics["right"]["pixel_accuracy"] == 1
    # of 23 counted pixels a mask: 15 ground, 4 cat, 4 dog taken for ground
    assert metrics["wrong"]["IoU"] == {"ground": pytest.approx(15 / 19), "cat": 1, "dog": 0}
    assert metrics["wrong"]["accuracy"] == {"ground": 1, "cat": 1, "dog": 0}
    assert metrics["wrong"]["pixel_accuracy"] == pytest.approx(19 / 23)
    assert "59.65" in told  # (15/19 + 1 + 0) / 3
    with Image.open(out / eval_miou.PICTURES) as picture:
        colours = {colour for _, colour in picture.convert("RGB").getcolors(1 << 24)}
    assert {(200, 0, 0), (0, 0, 200), (224, 224, 192), (120, 120, 120)} <= {tuple(c) for c in colours}


@pytest.mark.parametrize(("flags", "drawn"), [((), ["b", "a"]), (("--best",), ["c", "a"])])
def test_the_worst_or_the_best_are_drawn(flags, drawn, run, data, monkeypatch):
    """The prediction for b has no dogs, and that for c is right. No pixel of void counts, so it is neither."""
    folder = predict(data, "p")
    for name, change in (("a", one_dog_less), ("b", no_dogs)):
        save_mask(change(read_mask(folder / f"{name}.png")), folder / f"{name}.png")
    Image.new("RGB", (6, 4)).save(data / "images" / "void.jpg")
    save_mask(np.full((4, 6), 255, dtype=np.uint8), data / "masks" / "void.png")
    save_mask(np.zeros((4, 6), dtype=np.uint8), folder / "void.png")
    (data / "list.txt").write_text("void\na\nb\nc\n")
    rows = []
    monkeypatch.setattr(eval_miou, "plot_rows", lambda found, *_: rows.extend(row.name for row in found))
    code, _, complaint = run(folder, "--out", data / "eval", "--pictures", 2, *flags)
    assert code == 0, complaint
    assert rows == drawn


def test_a_class_that_nobody_has_is_null(run, data):
    for file in (data / "masks").iterdir():
        save_mask(no_dogs(read_mask(file)), file)
    code, told, _ = run(predict(data, "right"), "--out", data / "eval")
    row = json.loads((data / "eval" / eval_miou.METRICS).read_text())["right"]
    assert (code, row["IoU"]["dog"], row["mIoU"], "nan" in told) == (0, None, 1, True)
    assert not (data / "eval" / eval_miou.PICTURES).exists()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (Path.unlink, "has no prediction for 1 of 3 images, e.g. b.png"),
        (lambda file: save_mask(np.zeros((3, 6), np.uint8), file), "b.png: the prediction is 6 x 3, the truth 6 x 4"),
        (lambda file: save_mask(np.full((4, 6), 3, np.uint8), file), "b.png: the prediction has label 3; there are 3"),
    ],
)
def test_a_prediction_that_does_not_fit_is_named(run, data, damage, words):
    damage(predict(data, "p") / "b.png")
    code, _, complaint = run(data / "p", "--out", data / "eval")
    assert (code, words in complaint, (data / "eval").exists()) == (2, True, False)


def test_labels_counted_from_one_are_scored_as_mmseg_saves_them(run, data):
    """reduce_zero_label: label 0 is ignored, and mmseg saves predictions one higher."""
    config = (data / "config.py").read_text().replace("pipeline=[]", "pipeline=[], reduce_zero_label=True")
    config = config.replace('("ground", "cat", "dog")', '("cat", "dog")').replace("[[0, 0, 0],", "[")
    (data / "config.py").write_text(config)
    code, told, complaint = run(predict(data, "p", lambda mask: np.where(mask == 0, 1, mask).astype(np.uint8)))
    assert code == 0, complaint
    assert "mIoU" in told
    assert "100.00" in told
