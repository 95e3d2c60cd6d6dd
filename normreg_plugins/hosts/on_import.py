"""Register with a host that is imported after this package."""

from __future__ import annotations

import importlib
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any


class AfterImport(MetaPathFinder):
    """Imports our adapter once, right after its host was imported. To ask `find_spec` for the host imports nothing."""

    def __init__(self, host: str, adapter: str) -> None:
        self._host, self._adapter = host, adapter
        self._asks_the_others = False

    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if name != self._host or self._asks_the_others:
            return None
        self._asks_the_others = True
        try:
            spec = find_spec(name)
        finally:
            self._asks_the_others = False
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_and_register(module: ModuleType) -> None:
                load(module)
                sys.meta_path.remove(self)
                importlib.import_module(self._adapter)

            spec.loader.exec_module = load_and_register  # type: ignore[method-assign]
        return spec


def register_with(host: str, adapter: str) -> None:
    """Import `adapter` now if `host` is loaded, else when it will be."""
    if host in sys.modules:
        importlib.import_module(adapter)
    else:
        sys.meta_path.insert(0, AfterImport(host, adapter))
