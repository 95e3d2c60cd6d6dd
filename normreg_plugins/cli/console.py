"""What all commands share: how they refuse, and how they print tables."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from rich.console import Console


def say(message: str) -> None:
    """Print to stderr what belongs beside a command's result, on one rank per machine."""
    if first_on_machine():
        print(message, file=sys.stderr)


def first_on_machine() -> bool:
    """Whether this is the one rank of its machine that looks at the disk and prints."""
    return int(os.environ.get("LOCAL_RANK", "0")) == 0


def refuse(message: str) -> NoReturn:
    """Print the message to stderr, on one rank per machine, and exit with status 2, without a traceback."""
    say(message)
    sys.exit(2)


def wide_console() -> Console:
    """A console of the terminal's width; 200 characters wide where the output goes to a file or a pipe."""
    from rich.console import Console  # not every command needs it

    return Console(width=None if Console().is_terminal else 200, highlight=False, markup=False)
