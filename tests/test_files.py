"""Files are written atomically."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from normreg_plugins.files import atomic_path, write_json, write_text

WRITES_HALF_AND_WAITS = """
import sys, time
from pathlib import Path
from normreg_plugins.files import atomic_path

with atomic_path(Path(sys.argv[1])) as unfinished:
    unfinished.write_text("half of the n")
    print("wrote half", flush=True)
    time.sleep(60)
"""


def write_half_and_raise(path: Path) -> None:
    with atomic_path(path) as unfinished:
        unfinished.write_text("half of the n")
        raise RuntimeError("stopped")


def test_path_appears_only_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "scores.txt"
    with atomic_path(path) as unfinished:
        assert (unfinished.suffix, unfinished.parent) == (".txt", tmp_path)  # a rename in one folder is one step
        unfinished.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    with pytest.raises(RuntimeError, match="stopped"):
        write_half_and_raise(path)
    with pytest.raises(FileNotFoundError), atomic_path(path):
        pass  # a block that writes nothing
    assert path.read_text() == "new"
    assert [*tmp_path.iterdir()] == [path]


def test_a_killed_writer_leaves_the_old_file_and_no_half_of_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "scores.txt"
    path.write_text("old")
    command = [sys.executable, "-c", WRITES_HALF_AND_WAITS, str(path)]
    root = str(Path(__file__).parents[1])
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": root})
    assert writer.stdout is not None
    with writer.stdout:
        assert writer.stdout.readline() == "wrote half\n"
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    assert path.read_text() == "old"
    write_text(path, "new")
    assert path.read_text() == "new"


def test_json_is_read_back_as_it_was_and_ends_with_a_line_end(tmp_path: Path) -> None:
    path, content = tmp_path / "scores.json", {"mAP": 0.5, "classes": ["a", "ä"], "best": None}
    write_json(path, content)
    assert json.loads(path.read_text()) == content
    assert path.read_text().endswith("}\n")
