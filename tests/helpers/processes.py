"""Run a function in other processes: as a command, or as the ranks of a distributed run.

They are forked from this one, so they import nothing again, and the function may stand beside its test.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

SECONDS = 300
"""Processes that take longer hang, and are killed."""


def on_ranks(task: Callable[..., Any], *arguments: Any, ranks: int = 2) -> list[Any]:
    """What `task(rank, *arguments)` returns on each rank. Raises if one raises, or if they hang."""
    with TemporaryDirectory() as folder:
        started = (task, arguments, ranks, Path(folder))
        context = mp.start_processes(_one_rank, started, ranks, join=False, start_method="fork")
        end = monotonic() + SECONDS
        try:
            while not context.join(end - monotonic()):
                if monotonic() > end:
                    raise TimeoutError(f"{ranks} ranks did not finish within {SECONDS} s")
        finally:
            for process in context.processes:
                process.kill()
        return [torch.load(Path(folder, str(rank)), weights_only=True) for rank in range(ranks)]


def _one_rank(rank: int, task: Callable[..., Any], arguments: tuple[Any, ...], ranks: int, folder: Path) -> None:
    torch.set_num_threads(1)
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(ranks))
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=ranks)
    try:
        torch.save(task(rank, *arguments), folder / str(rank))
        dist.barrier()
    finally:
        dist.destroy_process_group()


class Done(NamedTuple):
    returncode: int | None
    stdout: str
    stderr: str


def command(task: Callable[[], int | None], cwd: Path, ranks: int = 1) -> Done:
    """Run `task` in `cwd` and exit with what it returns; what the first rank did. torch's launcher sets the same."""
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port(), "WORLD_SIZE": str(ranks)}
    with TemporaryDirectory() as folder:
        processes = []
        for rank in range(ranks):
            launched = {**where, "RANK": str(rank), "LOCAL_RANK": str(rank)} if ranks > 1 else {}
            processes.append(
                get_context("fork").Process(target=_exit, args=(task, cwd, launched, Path(folder, str(rank))))
            )
            processes[-1].start()
        for process in processes:
            process.join(SECONDS)
            process.kill()
        out, err = (Path(folder, f"0.{stream}").read_text() for stream in ("out", "err"))
        return Done(next((p.exitcode for p in processes if p.exitcode), 0), out, err)


def _exit(task: Callable[[], int | None], cwd: Path, environment: dict[str, str], said: Path) -> None:
    torch.set_num_threads(1)
    os.chdir(cwd)
    os.environ.update(environment)
    sys.stdout, sys.stderr = (said.with_suffix(suffix).open("w", buffering=1) for suffix in (".out", ".err"))
    for stream, descriptor in ((sys.stdout, 1), (sys.stderr, 2)):
        os.dup2(stream.fileno(), descriptor)
    sys.exit(task())


def free_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])
