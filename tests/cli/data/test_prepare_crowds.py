"""tools/data/prepare_qnrf.py and tools/data/prepare_shanghaitech.py on drawn crowds."""

import json
from pathlib import Path

import pytest
from helpers.annotations import shanghaitech_file
from scipy.io import loadmat, savemat

from normreg_plugins.cli.data import prepare_shanghaitech
from normreg_plugins.cli.data.crowd_preparation import PreparationError, check_counts


def names(out: Path, split: str) -> list[str]:
    return [record["name"] for record in json.loads((out / f"{split}.json").read_text())["images"]]


def test_prepare_splits_reports_and_goes_on(tool, raw, tmp_path):
    out = tmp_path / "out"
    done = tool("data/prepare_qnrf.py", "--any-counts", raw, out, "--sides", 64, 128, "--val", 2, "--workers", 2)
    assert done.returncode == 0, done.stderr
    train, val, test = (names(out, split) for split in ("train", "val", "test"))
    assert sorted(train + val) == [f"img_{number:04d}" for number in range(1, 7)]
    assert len(val) == 2
    assert len(test) == 2
    assert "val: 2 images" in done.stdout
    assert json.loads((out / "report.json").read_text())["left_out"] == []

    again = tool("data/prepare_qnrf.py", "--any-counts", raw, out, "--sides", 64, 128, "--val", 2)
    assert again.returncode == 0
    other = tool("data/prepare_qnrf.py", "--any-counts", raw, out, "--sides", 64, 128, "--val", 3)
    assert other.returncode == 2
    assert "other settings" in other.stderr
    assert "Traceback" not in other.stderr


def test_prepare_says_what_it_left_out(tool, draw_raw, tmp_path):
    raw = draw_raw(tmp_path / "raw")
    (raw / "Train/img_0002.jpg").write_bytes(b"no picture")
    savemat(raw / "Train/img_0003_ann.mat", {"annPoints": [[5.0, 5.0], [5.0, 5.0], [500.0, 5.0]]})
    done = tool("data/prepare_qnrf.py", "--any-counts", raw, tmp_path / "out", "--sides", 64, 128, "--val", 1)
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
    assert tool("data/prepare_qnrf.py", "--any-counts", *arguments).returncode == 0
    assert names(tmp_path / "out", "train") == ["img_0005", "img_0001"]
    assert names(tmp_path / "out", "val") == ["img_0003"]
    for text, message in (
        ("img_0001\n", "in both lists, e.g. img_0001"),
        ("img_9999\n", "1 unknown images, e.g. img_9999"),
        ("img_0002\nimg_0002.jpg\n", "names an image twice"),
    ):
        val.write_text(text)
        refused = tool("data/prepare_qnrf.py", "--any-counts", *arguments)
        assert refused.returncode == 2
        assert message in refused.stderr


def test_prepare_refuses_what_is_no_data_set(tool, raw, tmp_path):
    for arguments, message in (
        ((tmp_path, tmp_path / "out"), "not an unpacked UCF-QNRF"),
        ((raw, tmp_path / "out", "--val", 6), "there are 6 training images"),
        ((raw, tmp_path / "out", "--val", 2, "--sides", 99, 64), "99, 64"),
    ):
        refused = tool("data/prepare_qnrf.py", "--any-counts", *arguments)
        assert refused.returncode == 2
        assert message in refused.stderr
        assert "Traceback" not in refused.stderr


def test_prepare_shanghaitech(tool, raw, tmp_path):
    part = tmp_path / "part_A"
    for old, new in (("Train", "train_data"), ("Test", "test_data")):
        (part / new / "images").mkdir(parents=True)
        (part / new / "ground_truth").mkdir()
        for number, path in enumerate(sorted((raw / old).glob("*.jpg")), start=1):
            (part / new / "images" / f"IMG_{number}.jpg").write_bytes(path.read_bytes())
            points = loadmat(path.with_name(f"{path.stem}_ann.mat"))["annPoints"]
            shanghaitech_file(part / new / "ground_truth" / f"GT_IMG_{number}.mat", points)
    out = tmp_path / "out"
    done = tool("data/prepare_shanghaitech.py", "--any-counts", part, out, "--val", 2, "--sides", 64, 128)
    assert done.returncode == 0, done.stderr
    qnrf = tmp_path / "qnrf"
    tool("data/prepare_qnrf.py", "--any-counts", raw, qnrf, "--val", 2, "--sides", 64, 128)
    counts, same = (
        [record["count"] for record in json.loads((folder / "test.json").read_text())["images"]]
        for folder in (out, qnrf)
    )
    assert counts == same
    assert "no part of ShanghaiTech" in tool("data/prepare_shanghaitech.py", "--any-counts", raw, out).stderr


def test_other_counts_than_the_official_ones_are_refused(tool, raw, tmp_path):
    refused = tool("data/prepare_qnrf.py", raw, tmp_path / "out", "--val", 2)
    assert refused.returncode == 2
    assert "6 training and 2 test images; UCF-QNRF has 1,201 and 334." in refused.stderr
    assert "--any-counts" in refused.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("found", [(300, 182), (400, 316)])
def test_both_parts_of_shanghaitech_are_official(found):
    check_counts(Path("part"), found, prepare_shanghaitech.COUNTS)
    with pytest.raises(PreparationError, match=r"part A has 300 and 182, part B has 400 and 316\."):
        check_counts(Path("part"), (300, 316), prepare_shanghaitech.COUNTS)
