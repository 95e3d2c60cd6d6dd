"""Runs by their folders."""

import os

import pytest

from normreg_plugins.core.errors import NormRegError
from normreg_plugins.monitor import log_of, logs_of


def write(path, age=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('{"step": 1, "loss": 1.0}\n')
    os.utime(path, (1e9 - age, 1e9 - age))
    return path


def test_the_newest_log_of_a_folder_is_taken(tmp_path):
    write(tmp_path / "a" / "20200101" / "vis_data" / "scalars.json", age=100)
    new = write(tmp_path / "a" / "20210101" / "vis_data" / "scalars.json")
    assert log_of(tmp_path / "a") == new
    ours = write(tmp_path / "a" / "norms.jsonl", age=200)  # says more than the host's log
    assert log_of(tmp_path / "a") == ours
    table = write(tmp_path / "b" / "results.csv")
    assert log_of(tmp_path / "b") == table == log_of(table)


def test_what_is_no_run_is_said(tmp_path):
    with pytest.raises(NormRegError, match=r"no run; it has none of norms\.jsonl"):
        log_of(tmp_path)


def test_names_tell_runs_apart(tmp_path):
    for name in ("wd/seed0", "wrs/seed0", "wrs/seed1"):
        write(tmp_path / name / "norms.jsonl")
    one, two, three = (tmp_path / name for name in ("wd/seed0", "wrs/seed0", "wrs/seed1"))
    assert list(logs_of([two, three])) == ["seed0", "seed1"]
    assert list(logs_of([one, two])) == ["wd/seed0", "wrs/seed0"]
    assert list(logs_of([one, two], ["a", "b"])) == ["a", "b"]
    with pytest.raises(NormRegError, match="different names, got a, a"):
        logs_of([one, two], ["a", "a"])
