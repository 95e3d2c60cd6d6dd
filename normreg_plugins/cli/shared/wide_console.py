"""Tables that are not cut when the output goes to a file."""

from __future__ import annotations

from rich.console import Console


def wide_console() -> Console:
    """A console of the terminal's width; 200 characters wide where the output goes to a file or a pipe."""
    return Console(width=None if Console().is_terminal else 200, highlight=False)
