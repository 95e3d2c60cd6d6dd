"""What a host's run says before it trains: that the host is untested, and which weights a method acts on."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

from normreg_plugins.core import Handle
from normreg_plugins.core.errors import UntestedVersionWarning
from normreg_plugins.files import write_text

VERDICTS_FILE = "verdicts.txt"
TESTED = {
    "mmengine": ("0.10.",),
    "mmcv": ("2.1.", "2.2.", "2.3."),
    "mmdet": ("3.3.", "3.4.", "3.5."),
    "mmseg": ("1.2.", "1.3.", "1.4."),
    "ultralytics": ("8.4.",),
}
"""How the tested versions begin, from the lower bound in pyproject.toml to the newest in requirements/."""
MM = ("mmengine", "mmcv", "mmdet", "mmseg")

_warned: set[str] = set()


def warn_of_untested(hosts: Iterable[str]) -> None:
    """Warn once for each imported host that is older or newer than those tested."""
    for host in hosts:
        version = getattr(sys.modules.get(host), "__version__", None)
        if version is None or host in _warned or version.startswith(TESTED[host]):
            continue
        _warned.add(host)
        warnings.warn(
            f"{host} {version}: normreg_plugins is tested with {', '.join(f'{each}*' for each in TESTED[host])}. "
            "Compare the first epochs with a run without a method, or install a tested version.",
            UntestedVersionWarning,
            stacklevel=3,
        )


class _ToHost(logging.Handler):
    """Sends the records of the core to a host's log."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(logging.INFO)
        self.say = say

    def emit(self, record: logging.LogRecord) -> None:
        self.say(record.getMessage())


def log_to(say: Callable[[str], None]) -> None:
    """Let a host's log have what the core logs: a group that was split, weights that were unfrozen."""
    logger = logging.getLogger("normreg_plugins")
    logger.setLevel(logging.INFO)
    logger.handlers = [*(h for h in logger.handlers if not isinstance(h, _ToHost)), _ToHost(say)]


def summary(handle: Handle) -> str:
    """One line for the log: how many weights the method acts on."""
    frozen = sum(why.startswith("frozen") for why in handle.left_alone.values())
    waits = f" ({frozen} more when they are unfrozen)" if frozen else ""
    found = handle.verdicts.summary()
    return f"{handle.method!r} acts on {len(handle.targets)}{waits} of {found}; all in {VERDICTS_FILE}"


def write_verdicts(handle: Handle, folder: Path) -> None:
    """Write to the run's folder the verdict on every weight."""
    left = "".join(f"\n  {name}: {why}" for name, why in handle.left_alone.items())
    text = f"{handle.verdicts}\n\n{handle.method!r} leaves alone:{left or ' nothing'}\n"
    write_text(folder / VERDICTS_FILE, text)
