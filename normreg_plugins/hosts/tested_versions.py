"""The versions of the hosts that the tests run with. A run with another version warns once."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Iterable

from normreg_plugins.core.errors import UntestedVersionWarning

TESTED = {
    "mmengine": ("0.10.7", "0.10"),
    "mmcv": ("2.1", "2.3"),
    "mmdet": ("3.3", "3.5"),
    "mmseg": ("1.2.2", "1.4"),
    "ultralytics": ("8.4", "8.4"),
}
"""The first version and the last series. pyproject.toml and requirements/ say the same."""
MM = ("mmengine", "mmcv", "mmdet", "mmseg")

_warned: set[str] = set()


def warn_of_untested(hosts: Iterable[str]) -> None:
    """Warn once for each imported host that is older or newer than those tested."""
    for host in hosts:
        version = getattr(sys.modules.get(host), "__version__", None)
        first, last = TESTED[host]
        if version is None or host in _warned or is_within(version, first, last):
            continue
        _warned.add(host)
        warnings.warn(
            f"{host} {version} is outside the tested range of normreg_plugins: {first} to {last}.*. Compare the "
            "first epochs with a run without a method, or install a tested version.",
            UntestedVersionWarning,
            stacklevel=3,
        )


def is_within(version: str, first: str, last: str) -> bool:
    series = _numbers(last)
    return _numbers(version) >= _numbers(first) and _numbers(version)[: len(series)] <= series


def _numbers(version: str) -> tuple[int, ...]:
    """The numbers of the release, without what follows them, as in 2.2.0rc1; none for a version without numbers."""
    release = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, release[0].split("."))) if release else ()
