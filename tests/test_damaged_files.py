"""Damaged files and settings that the campaign of bad input found unnamed; each is refused by name now."""

import io
import re
from pathlib import Path

import numpy as np
import pytest

from normreg_plugins import WeightRescaling
from normreg_plugins.core.errors import NormRegError
from normreg_plugins.crowd.data.preparation import records_in
from normreg_plugins.evaluation.counting import load_counts
from normreg_plugins.evaluation.detection import load_annotations
from normreg_plugins.evaluation.segmentation import MaskError, read_mask
from normreg_plugins.files import DamagedFileError, read_json, read_lines, read_numbers
from normreg_plugins.hosts.methods import build_method
from normreg_plugins.monitor import read_run

DEEP = "[" * 100_000
HUGE_PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d494844527fffffff7fffffff080000000031a254ba0000000a49444154789c636000000002000148afa471"
)
"""It claims to be 2^31 - 1 by 2^31 - 1 pixels."""


def file_of(folder: Path, content: str | bytes, name: str = "file.json") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(("option", "value"), [("select", 0), ("output_layers", None), ("select", [1])])
def test_names_that_are_none(option, value):
    with pytest.raises(NormRegError, match=f"{option}={re.escape(repr(value))}: must be names"):
        WeightRescaling(**{"select": "0", option: value} if option == "select" else {option: value})
    for name in ([], 3):
        with pytest.raises(NormRegError, match="is unknown: use one of"):
            build_method(name, {})


@pytest.mark.parametrize("content", [DEEP, b"\xff\xfe", '{"a": 1'])
def test_json_that_is_none(tmp_path, content):
    path = file_of(tmp_path, content)
    for read in (read_json, load_annotations, records_in):
        with pytest.raises(DamagedFileError, match=r"file\.json is no valid JSON, perhaps cut off"):
            read(path)


@pytest.mark.parametrize("content", ["null", '{"images": 3}', '{"images": [{"name": "a"}]}', '{"images": [[]]}'])
def test_an_index_of_something_else(tmp_path, content):
    with pytest.raises(DamagedFileError, match=r"file\.json is no index of prepared images"):
        records_in(file_of(tmp_path, content))


@pytest.mark.parametrize("content", ["[]", "{}", '{"counts": 3}', '{"counts": {"a": "many"}}'])
def test_counts_of_something_else(tmp_path, content):
    file_of(tmp_path, content, "predictions.json")
    with pytest.raises(DamagedFileError, match=r"predictions\.json has no counts"):
        load_counts(tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x93NUMPY", "cannot be read as an array"),
        (np.array([{}]), "cannot be read as an array"),  # objects would be unpickled
        (np.ones(3), "no numbers in rows and columns"),
        (np.array([["a", "b"]]), "no numbers in rows and columns"),
        (np.ones((4, 2)), "has 2 columns, 3 are needed"),
    ],
)
def test_points_that_are_none(tmp_path, content, words):
    if not isinstance(content, bytes):
        file = io.BytesIO()
        np.save(file, content)
        content = file.getvalue()
    with pytest.raises(DamagedFileError, match=rf"file\.npy .*{words}"):
        read_numbers(file_of(tmp_path, content, "file.npy"), columns=3)
    with pytest.raises(FileNotFoundError):
        read_numbers(tmp_path / "gone.npy")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff\xfe\n", "is no text"),
        ('{"step": 1}\n{"step": \n', "line 2: no valid JSON"),
        (f"{DEEP}\n", "line 1: no valid JSON"),
        ("[1]\n", "line 1: no JSON object"),
    ],
)
def test_logs_that_are_none(tmp_path, content, words):
    path = file_of(tmp_path, content, "log.jsonl")
    with pytest.raises(DamagedFileError, match=rf"log\.jsonl.*{words}"):
        read_run(path)
    cut_off = file_of(tmp_path, '{"step": 1}\n\n{"step": 2', "log.jsonl")  # its last line is left out
    assert list(read_lines(cut_off)) == [{"step": 1}]


@pytest.mark.parametrize("content", [b"", b"GIF89a", HUGE_PNG])
def test_masks_that_are_none(tmp_path, content):
    with pytest.raises(MaskError, match=r"mask\.png: cannot be read as a picture"):
        read_mask(file_of(tmp_path, content, "mask.png"))
    with pytest.raises(FileNotFoundError):
        read_mask(tmp_path / "gone.png")
