"""A file that crashes the process that reads it is named, and the files after it are read."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from helpers.annotations import qnrf_file

from normreg_plugins.crowd.data import AnnotationError, MortalReader, read_qnrf_points


def pid_or_death(path: Path) -> int:
    if "deadly" in path.name:
        os.kill(os.getpid(), signal.SIGKILL)
    if "gone" in path.name:
        raise FileNotFoundError(path)
    return os.getpid()


def test_one_process_reads_all_files_until_one_kills_it() -> None:
    read = MortalReader(pid_or_death)
    first = read(Path("a.mat"))
    assert first != os.getpid()
    assert read(Path("b.mat")) == first
    with pytest.raises(FileNotFoundError, match=r"gone\.mat"):
        read(Path("gone.mat"))
    assert read(Path("c.mat")) == first
    for _ in range(2):
        with pytest.raises(AnnotationError, match=r"deadly\.mat: the process that read it died \(exit code -9\)"):
            read(Path("deadly.mat"))
    assert read(Path("d.mat")) not in (first, os.getpid())


def test_a_forked_process_does_not_share_its_reader() -> None:
    """Two processes on one pipe would take each other's answers."""
    ours = SHARED(Path("a.mat"))
    with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
        theirs = set(pool.map(read_in_fork, range(4)))
    assert ours not in theirs
    assert SHARED(Path("b.mat")) == ours


SHARED = MortalReader(pid_or_death)


def read_in_fork(number: int) -> int:
    return SHARED(Path(f"{number}.mat"))


def test_no_process_outlives_its_reader() -> None:
    before = set(multiprocessing.active_children())
    read = MortalReader(pid_or_death)
    read(Path("a.mat"))
    (ours,) = set(multiprocessing.active_children()) - before
    del read
    ours.join(10)
    assert ours.exitcode == 0


def test_points_come_back_as_they_were_read(tmp_path) -> None:
    path = qnrf_file(tmp_path / "a.mat", annPoints=np.array([[1.5, 2.0], [30.0, 1e300]]))
    np.testing.assert_array_equal(MortalReader(read_qnrf_points)(path), read_qnrf_points(path))


WAITS_WITH_WORKERS = """
import os, sys, time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from normreg_plugins.crowd.data.mortal_reader import end_with_parent, mortal

def pids(_):
    return [os.getpid(), mortal(pid)(Path())]

def pid(_):
    time.sleep(0.2)
    return os.getpid()

with ProcessPoolExecutor(2, initializer=end_with_parent) as pool:
    print(*{number for each in pool.map(pids, range(4)) for number in each}, flush=True)
    time.sleep(60)
"""


def test_workers_and_their_readers_end_when_the_process_that_started_them_is_killed() -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, "-c", WAITS_WITH_WORKERS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        running = {int(number) for number in process.stdout.readline().split()}
        process.kill()
    assert len(running) == 4
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
