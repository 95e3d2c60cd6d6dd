"""Packing a folder of small JPEGs into one file."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.made_up_cifar import write_pictures
from PIL import Image

from research import prepare_cifar_jpeg


@pytest.fixture
def prepare(capsys):
    """Call the command in this process, and return its exit code and what it printed."""

    def call(*args):
        code = prepare_cifar_jpeg.main([*map(str, args)])
        return SimpleNamespace(returncode=code, **capsys.readouterr()._asdict())

    return call


@pytest.fixture
def raw(tmp_path):
    return write_pictures(tmp_path / "raw", train=3, test=2)


@pytest.fixture
def packed(raw, tmp_path, prepare):
    done = prepare(raw, tmp_path / "out", "--any-counts")
    assert done.returncode == 0, done.err
    return tmp_path / "out" / "cifar10_jpeg.npz"


def bytes_of(packed, split):
    ends = packed[f"{split}_ends"]
    return [packed[f"{split}_jpeg"][a:b].tobytes() for a, b in zip([0, *ends[:-1]], ends)]


def test_every_picture_is_there_once_with_its_class(raw, packed):
    with np.load(packed, allow_pickle=False) as found:
        for split, each in (("train", 3), ("test", 2)):
            labels = found[f"{split}_labels"].tolist()
            assert sorted(labels) == sorted([*range(10)] * each)
            assert labels != sorted(labels), "they are shuffled"
            names = sorted(path.name for path in (raw / split).iterdir())
            files = {path.read_bytes(): names.index(path.parent.name) for path in (raw / split).rglob("*.jpg")}
            assert dict(zip(bytes_of(found, split), labels)) == files


def test_the_reader_decodes_what_was_packed(packed):
    from research.cifar.pictures import read_pictures

    pictures = read_pictures(packed.parent, "test")
    assert (len(pictures), tuple(pictures.images.shape)) == (20, (20, 3, 32, 32))
    with np.load(packed, allow_pickle=False) as found:
        last = Image.open(io.BytesIO(bytes_of(found, "test")[-1]))
    assert (pictures.images[-1].permute(1, 2, 0).numpy() == np.asarray(last)).all()


def test_a_second_run_checks_and_changes_nothing(raw, packed, prepare):
    before = packed.stat().st_mtime_ns
    again = prepare(raw, packed.parent, "--any-counts")
    assert "30 pictures to train on, 20 to test on" in again.out
    assert packed.stat().st_mtime_ns == before


def test_another_number_of_pictures_is_refused(raw, tmp_path, prepare):
    refused = prepare(raw, tmp_path / "out")
    assert refused.returncode == 2
    assert "airplane has 3 pictures, not 5000" in refused.err
    assert not (tmp_path / "out").exists()


def test_a_missing_class_is_named(raw, tmp_path, prepare):
    (raw / "test" / "frog").rename(raw / "test" / "toad")
    assert "test/frog" in prepare(raw, tmp_path / "out", "--any-counts").err


@pytest.mark.parametrize("broken", ["cut off", "too large"])
def test_a_broken_picture_is_named_and_nothing_is_written(broken, raw, tmp_path, prepare):
    path = raw / "train" / "ship" / "0001.jpg"
    if broken == "cut off":
        path.write_bytes(path.read_bytes()[:300])
    else:
        Image.new("RGB", (40, 32)).save(path)
    refused = prepare(raw, tmp_path / "out", "--any-counts")
    assert refused.returncode == 2
    assert str(path) in refused.err
    assert not (tmp_path / "out" / "cifar10_jpeg.npz").exists()
