"""Processes of a preparation. One reads files, and some kill it: SciPy's reader of MATLAB files crashes."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from normreg_plugins.crowd.data.mat_files import AnnotationError

Read = Callable[[Path], Any]


class MortalReader:
    """Calls `read` for one file after another in one process of its own.

    If a file kills that process, the call raises AnnotationError with the file's name. The next call starts another.
    """

    def __init__(self, read: Read) -> None:
        self._read = read
        self._process: Any = None
        self._pipe: Any = None
        self._owner = 0

    def __call__(self, path: Path) -> Any:
        if self._process is None or self._owner != os.getpid():  # a forked process has a reader of its own
            self._start()
        try:
            self._pipe.send(path)
            answer = self._pipe.recv()
        except (EOFError, OSError) as error:
            code = self._stop()
            raise AnnotationError(
                f"{path}: the process that read it died (exit code {code}). The file is damaged: unpack it again"
            ) from error
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _start(self) -> None:
        self._owner = os.getpid()
        self._pipe, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.Process(target=_serve, args=(self._read, theirs, self._pipe), daemon=True)
        self._process.start()
        theirs.close()  # so that the pipe ends when the other process does

    def _stop(self) -> int | None:
        self._pipe.close()
        self._process.join()
        code, self._process = self._process.exitcode, None
        return code


@cache
def mortal(read: Read) -> MortalReader:
    """The one reader of this process that calls `read`."""
    return MortalReader(read)


def _serve(read: Read, pipe: Connection, other_end: Connection) -> None:
    other_end.close()  # so that the pipe ends when the other process does
    while True:
        try:
            path = pipe.recv()
        except EOFError:
            return
        try:
            answer: Any = read(path)
        except Exception as error:  # whatever reading raises is raised in the process that asked
            answer = error
        pipe.send(answer)


def end_with_parent() -> None:
    """Let this worker process end when the process that started it is killed. It would wait for work for ever."""
    threading.Thread(target=_wait_and_end, daemon=True).start()


def _wait_and_end() -> None:
    parent: Any = multiprocessing.parent_process()
    parent.join()
    os._exit(1)
