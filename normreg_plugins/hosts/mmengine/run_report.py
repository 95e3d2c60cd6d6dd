"""What a method will do, before training: a summary in the log, and all of it in a file beside the log."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.logging import MMLogger, print_log

from normreg_plugins.core import Handle
from normreg_plugins.files import write_text
from normreg_plugins.hosts.mmengine.config import uses_stock_ema
from normreg_plugins.hosts.tested_versions import MM, warn_of_untested
from normreg_plugins.monitor import rate_at_start

REASONS_SHOWN = 6


def report(handles: Sequence[Handle]) -> None:
    """One handle, or one for each of several optimizers."""
    warn_of_untested(MM)
    for handle in handles:
        print_log("\n".join(_short(handle)), logger="current")
        handle.on_first_forward(_log_rate)  # the weights are loaded by then
    handles[0].on_first_forward(_warn_of_stock_average)  # the config can be read by then
    handles[0].optimizer.register_load_state_dict_post_hook(_warn_of_stock_average)  # in a run that is resumed
    folder = _log_dir()
    if folder is not None and is_main_process():
        table = folder / "verdicts.txt"
        write_text(table, "\n".join(line for handle in handles for line in _full(handle)))
        print_log(f"the verdict on every weight: {table}", logger="current")


def _warn_of_stock_average(_: object) -> None:
    if uses_stock_ema():
        print_log(
            "mmengine's EMAHook evaluates and saves averaged filters with running statistics that do not fit them. "
            "Use type='NormRegEMAHook' instead in custom_hooks: it takes the same arguments and corrects that.",
            logger="current",
            level=logging.WARNING,
        )


def _log_rate(handle: Handle) -> None:
    found = rate_at_start(handle)
    if found is not None:
        print_log(f"{handle.method!r}: {found}", logger="current")


def _short(handle: Handle) -> list[str]:
    lines = [f"{handle.method!r} acts on {len(handle.targets)} weights; {handle.verdicts.summary()}"]
    reasons = Counter(handle.left_alone.values())
    for reason, count in reasons.most_common(REASONS_SHOWN):
        example = next(name for name, why in handle.left_alone.items() if why == reason)
        others = f" and {count - 1} more" if count > 1 else ""
        lines.append(f"  left alone: {example}{others}: {reason}")
    hidden = sum(count for _, count in reasons.most_common()[REASONS_SHOWN:])
    return [*lines, f"  left alone: {hidden} more, for other reasons"] if hidden else lines


def _full(handle: Handle) -> Iterator[str]:
    yield f"{handle!r}\n"
    yield f"{handle.verdicts}\n"
    yield from (f"left alone: {name}: {reason}" for name, reason in handle.left_alone.items())
    yield ""


def _log_dir() -> Path | None:
    """Where the current logger writes its file, if it does."""
    logger = MMLogger.get_current_instance()
    files = [Path(h.baseFilename) for h in logger.handlers if hasattr(h, "baseFilename")]
    return files[0].parent if files else None
