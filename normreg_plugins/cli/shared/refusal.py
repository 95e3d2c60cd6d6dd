"""How a command ends when it cannot do what it was asked."""

from __future__ import annotations

import sys
from typing import NoReturn


def refuse(message: str) -> NoReturn:
    """Print the message to stderr and exit with status 2, without a traceback."""
    print(message, file=sys.stderr)
    sys.exit(2)
