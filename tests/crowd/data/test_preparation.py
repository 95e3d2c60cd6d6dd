"""Preparation of raw data sets: complete or not at all, and nothing lost on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from normreg_plugins.crowd.data.images import ORIENTATION, read_rgb
from normreg_plugins.crowd.data.points import neighbour_distances, read_qnrf_points
from normreg_plugins.crowd.data.preparation import PreparationError, RawImage, Settings, prepare

SETTINGS = Settings(shorter_side=(32, 64))


def add_raw(folder: Path, name: str, size=(40, 50), points=((3.0, 4.0), (30.0, 20.0)), **save) -> RawImage:
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(len(name)).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    picture = folder / f"{name}.jpg"
    Image.fromarray(pixels).save(picture, **save)
    annotation = folder / f"{name}_ann.mat"
    savemat(annotation, {"annPoints": np.array(points, dtype=float)})
    return RawImage(name, picture, annotation)


def run(splits, out, settings=SETTINGS) -> list[dict]:
    return [record for _, record in prepare(splits, out, settings, read_qnrf_points)]


def load(out: Path, name: str, split: str = "train"):
    people = np.load(out / split / f"{name}.npy", allow_pickle=False)
    return people, json.loads((out / split / f"{name}.json").read_text())


def test_a_picture_within_bounds_is_copied_byte_for_byte(tmp_path):
    raw = add_raw(tmp_path / "raw", "a")
    run({"train": [raw]}, tmp_path / "out")
    assert (tmp_path / "out/train/a.jpg").read_bytes() == raw.picture.read_bytes()
    people, record = load(tmp_path / "out", "a")
    np.testing.assert_array_equal(people[:, :2], [[3, 4], [30, 20]])
    np.testing.assert_array_equal(people[:, 2], neighbour_distances(people[:, :2]))
    assert (record["width"], record["height"], record["count"]) == (40, 50, 2)
    index = json.loads((tmp_path / "out/train.json").read_text())
    assert index == {"images": [record], "left_out": []}


def read_or_die(path: Path):
    if path.stem.startswith("deadly"):
        os.kill(os.getpid(), signal.SIGKILL)
    return read_qnrf_points(path)


def test_an_annotation_that_kills_its_process_is_named_and_the_others_are_prepared(tmp_path):
    """SciPy crashes on some damaged files. A reader that kills its process does so with every version of SciPy."""
    names = ["a", "deadly1", "b", "c", "deadly2", "d"]
    raws = [add_raw(tmp_path / "raw", name) for name in names]
    records = [record for _, record in prepare({"train": raws}, tmp_path / "out", SETTINGS, read_or_die, workers=2)]
    assert [record["name"] for record in records] == names
    assert [record["name"] for record in records if "error" not in record] == ["a", "b", "c", "d"]
    assert "deadly1_ann.mat: the process that read it was killed" in records[1]["error"]
    index = json.loads((tmp_path / "out/train.json").read_text())
    assert [record["name"] for record in index["left_out"]] == ["deadly1", "deadly2"]


WAITING_WORKERS = """
import os, time
from normreg_plugins.crowd.data.preparation import map_in_processes

def pid(_):
    time.sleep(0.2)
    return os.getpid()

work = map_in_processes(pid, range(8), workers=2)
print(next(work), next(work), flush=True)
time.sleep(60)
"""


def test_workers_end_when_the_process_that_started_them_is_killed():
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, "-c", WAITING_WORKERS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        running = {int(number) for number in process.stdout.readline().split()}
        process.kill()
    assert len(running) == 2
    end = time.monotonic() + 30
    while running and time.monotonic() < end:
        time.sleep(0.05)
        running = {number for number in running if is_running(number)}
    assert not running


def is_running(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize(("size", "new"), [((20, 16), (40, 32)), ((200, 128), (100, 64))])
def test_sides_and_points_are_scaled_together(tmp_path, size, new):
    raw = add_raw(tmp_path / "raw", "a", size, [(2, 4), (10, 8), size])
    run({"train": [raw]}, tmp_path / "out")
    people, record = load(tmp_path / "out", "a")
    scale = new[0] / size[0]
    np.testing.assert_allclose(people[:, :2], np.array([(2, 4), (10, 8), size]) * scale, rtol=1e-6)
    np.testing.assert_array_equal(people[:, 2], neighbour_distances(people[:, :2]))
    assert read_rgb(tmp_path / "out/train/a.jpg").shape == (new[1], new[0], 3)
    assert record["raw_size"] == list(size)


def test_what_is_odd_is_counted(tmp_path):
    raw = tmp_path / "raw"
    images = [
        add_raw(raw, "odd", points=[(3, 4), (3, 4), (41, 3), (np.nan, 1)]),
        add_raw(raw, "empty", points=np.zeros((0, 2))),
        add_raw(raw, "strip", size=(6, 60_000)),
    ]
    odd = {record["name"]: record["odd"] for record in run({"train": images}, tmp_path / "out")}
    assert odd["odd"] == {"points outside": 1, "points not finite": 1, "duplicate points": 1}
    assert odd["empty"] == {"empty": 1}
    assert odd["strip"]["shape too long for the size bounds"] == 1
    assert load(tmp_path / "out", "empty")[0].shape == (0, 3)


def test_a_tag_does_not_turn_the_picture_under_its_points(tmp_path):
    """The file is stored 40 x 50 and seen 50 x 40; its points say which of them they mean."""
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    stored = add_raw(tmp_path / "raw", "stored", points=[(3, 4), (10, 49)], exif=exif)
    upright = add_raw(tmp_path / "raw", "upright", points=[(3, 4), (49, 10)], exif=exif)
    run({"train": [stored, upright]}, tmp_path / "out")
    people, record = load(tmp_path / "out", "stored")
    assert (record["width"], record["height"], len(people), record["odd"]) == (40, 50, 2, {})
    people, record = load(tmp_path / "out", "upright")
    assert (record["width"], record["height"], len(people)) == (50, 40, 2)
    for name, shape in (("stored", (50, 40, 3)), ("upright", (40, 50, 3))):
        picture = tmp_path / f"out/train/{name}.jpg"
        assert read_rgb(picture).shape == read_rgb(picture, upright=True).shape == shape


def test_a_stopped_run_goes_on_and_ends_alike(tmp_path):
    splits = {
        "train": [add_raw(tmp_path / "raw", f"t{i}", size=(20, 16)) for i in range(4)],
        "val": [add_raw(tmp_path / "raw", "v", size=(20, 16))],
    }
    run(splits, tmp_path / "whole")
    work = prepare(splits, tmp_path / "parts", SETTINGS, read_qnrf_points)
    next(work)
    work.close()
    assert not (tmp_path / "parts/train.json").exists()
    done = tmp_path / "parts/train/t0.jpg"
    before = done.stat().st_mtime_ns
    run(splits, tmp_path / "parts")
    assert done.stat().st_mtime_ns == before
    files = {path.relative_to(tmp_path / "whole") for path in (tmp_path / "whole").rglob("*")}
    assert files == {path.relative_to(tmp_path / "parts") for path in (tmp_path / "parts").rglob("*")}
    for path in files:
        if (tmp_path / "whole" / path).is_file():
            assert (tmp_path / "whole" / path).read_bytes() == (tmp_path / "parts" / path).read_bytes()


def test_a_folder_begun_otherwise_is_not_mixed(tmp_path):
    splits = {"train": [add_raw(tmp_path / "raw", "a")]}
    run(splits, tmp_path / "out")
    with pytest.raises(PreparationError, match="other settings"):
        run(splits, tmp_path / "out", Settings(shorter_side=(32, 128)))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("mine")
    with pytest.raises(PreparationError, match="no preparation made"):
        run(splits, tmp_path / "mine")
    assert (tmp_path / "mine/notes.txt").read_text() == "mine"
