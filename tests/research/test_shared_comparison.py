"""Several processes share the cells of one comparison, and one of them may be killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from research.comparison.cells import Cell, claimed

ROOT = Path(__file__).resolve().parents[2]
WORKER = """
import os, sys, time
from pathlib import Path
from research.comparison.cells import Result
from research.comparison.description import Comparison
from research.comparison.train_cell import config_of
from research.comparison.work import work

folder, seconds = Path(sys.argv[1]), float(sys.argv[2])

def train(comparison, cell, where):
    with (folder / "trained").open("a") as file:
        file.write(f"{os.getpid()} {cell}\\n")
    time.sleep(seconds)
    return Result(1.0, {"accuracy": 1.0}, 1.0, "2026-01-01", {"device": "CPU"})

table = Comparison("table", "t", "cifar", {"wd": {}, "wrs": {}}, {"a": "accuracy"}, rate="rate", rates=(1.0, 2.0, 3.0))
work(table, folder, train, wait=0.05)
"""


def start_worker(folder, seconds):
    command = [sys.executable, "-c", WORKER, str(folder), str(seconds)]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL)


def trained(folder):
    path = folder / "trained"
    return [line.split(" ", 1) for line in path.read_text().splitlines()] if path.exists() else []


def wait_until(condition, seconds=300):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


def test_two_processes_share_a_table_and_train_no_cell_twice(tmp_path):
    workers = [start_worker(tmp_path, 0.3) for _ in range(2)]
    assert [worker.wait(300) for worker in workers] == [0, 0]
    cells = [cell for _, cell in trained(tmp_path)]
    assert len(cells) == len(set(cells)) == 10
    assert {int(pid) for pid, _ in trained(tmp_path)} == {worker.pid for worker in workers}


def test_the_cell_of_a_killed_process_is_taken_up_by_another(tmp_path):
    killed = start_worker(tmp_path, 1000)
    wait_until(lambda: trained(tmp_path))
    (_, lost), *_ = trained(tmp_path)
    other = start_worker(tmp_path, 0)
    wait_until(lambda: len(trained(tmp_path)) > 1)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert other.wait(300) == 0
    cells = [cell for _, cell in trained(tmp_path)]
    assert len(set(cells)) == 10
    assert [cell for cell in cells if cells.count(cell) > 1] == [lost, lost]


def test_a_claimed_cell_is_free_again_afterwards(tmp_path):
    cell = Cell("wd", "", 0.1, 0)
    with claimed(tmp_path, cell) as mine, claimed(tmp_path, cell) as second:
        assert (mine, second) == (True, False)
    with claimed(tmp_path, cell) as again:
        assert again
