"""What all commands share: how they refuse, and how they print tables."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from rich.console import Console


def refuse(message: str) -> NoReturn:
    """Print the message to stderr and exit with status 2, without a traceback."""
    print(message, file=sys.stderr)
    sys.exit(2)


def wide_console() -> Console:
    """A console of the terminal's width; 200 characters wide where the output goes to a file or a pipe."""
    from rich.console import Console  # not every command needs it

    return Console(width=None if Console().is_terminal else 200, highlight=False)
