"""Settings of the config that a run was started with, read from the text that mmengine keeps of it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mmengine.logging import MessageHub


def setting(name: str) -> ast.expr | None:
    """The value of a top-level setting of the current run's config, as a syntax tree; None if there is none."""
    text = MessageHub.get_current_instance().get_info("cfg", "")
    assigned = [s for s in ast.parse(text).body if isinstance(s, ast.Assign) and ast.unparse(s.targets[0]) == name]
    return assigned[-1].value if assigned else None


def types_in(node: ast.expr | None) -> Iterator[str]:
    """Every `type='...'` of the dicts in a setting."""
    for part in ast.walk(node) if node is not None else ():
        if isinstance(part, ast.keyword) and part.arg == "type" and isinstance(part.value, ast.Constant):
            yield str(part.value.value)
