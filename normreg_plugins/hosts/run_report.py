"""What a host's log and the folder of a run say of a method."""

from __future__ import annotations

import logging
from pathlib import Path

from normreg_plugins.core import Handle
from normreg_plugins.files import write_text
from normreg_plugins.monitor import change_at_start, rate_at_start

VERDICTS_FILE = "verdicts.txt"

logger = logging.getLogger("normreg_plugins")
_handlers_of_host: list[logging.Handler] = []


def log_to(host: logging.Logger) -> None:
    """Let a host's log have what the package logs: warnings of the monitor, weights that were unfrozen."""
    logger.setLevel(logging.INFO)
    for handler in _handlers_of_host:  # of the run before
        logger.removeHandler(handler)
    _handlers_of_host[:] = [handler for handler in host.handlers if handler not in logger.handlers]
    for handler in _handlers_of_host:
        logger.addHandler(handler)


def report(handle: Handle) -> None:
    """Log what the method acts on, and before the first update what it does at the start."""
    frozen = sum(why.startswith("frozen") for why in handle.left_alone.values())
    waits = f" ({frozen} more when they are unfrozen)" if frozen else ""
    found = handle.verdicts.summary()
    logger.info(f"{handle.method!r} acts on {len(handle.targets)}{waits} of {found}; all in {VERDICTS_FILE}")
    handle.on_first_forward(_log_start)  # the weights are loaded by then


def _log_start(handle: Handle) -> None:
    if rate := rate_at_start(handle):
        logger.info(f"{handle.method!r}: {rate}")
    if change := change_at_start(handle):
        logger.info(change)


def warn_if_idle(handle: Handle) -> None:
    """At the end of a run."""
    if handle.never_acted:
        logger.warning(handle.never_acted)


def write_verdicts(handle: Handle, folder: Path) -> None:
    """Write to the run's folder the verdict on every weight."""
    left = "".join(f"\n  {name}: {why}" for name, why in handle.left_alone.items())
    text = f"{handle.verdicts}\n\n{handle.method!r} leaves alone:{left or ' nothing'}\n"
    write_text(folder / VERDICTS_FILE, text)
