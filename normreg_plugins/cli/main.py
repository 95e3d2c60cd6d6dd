"""The command `normreg TOOL ...`: it runs the project's tools from wherever the package is installed."""

from __future__ import annotations

import runpy
import sys
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOOLS = next((folder for folder in (HERE / ".mim" / "tools", HERE.parent / "tools") if folder.is_dir()), None)
"""In a wheel they lie in .mim, as mm users expect; in a clone, beside the package."""


def tools() -> dict[str, Path]:
    """The commands in tools/ by the names that `normreg` takes, such as eval_map and data/make_mini_data."""
    if TOOLS is None:
        return {}
    scripts = [path for path in sorted(TOOLS.rglob("*.py")) if path.read_text("utf-8").startswith("#!")]
    return {str(path.relative_to(TOOLS).with_suffix("")): path for path in scripts}


def main() -> None:
    known = tools()
    name = sys.argv[1].removesuffix(".py") if len(sys.argv) > 1 else ""
    if name not in known:
        asked = f"normreg: there is no tool {name!r}\n\n" if name not in ("", "-h", "--help") else ""
        sys.stderr.write(f"{asked}normreg TOOL ...    normreg TOOL --help says more\n\n  " + "\n  ".join(known) + "\n")
        sys.exit(2 if asked else 0)
    sys.argv = [str(known[name]), *sys.argv[2:]]
    sys.path.insert(0, str(known[name].parent))  # as Python does for a script
    try:
        runpy.run_path(str(known[name]), run_name="__main__")
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in ("tools", "normreg_plugins", ""):
            raise
        sys.exit(f"normreg: {name} needs {error.name}, which is not installed. {_extras()}")


def _extras() -> str:
    """What to install, so that a tool finds what it needs."""
    try:
        extras = ", ".join(metadata("normreg_plugins").get_all("Provides-Extra") or ())
    except PackageNotFoundError:  # in a clone that was not installed
        extras = "see pyproject.toml"
    return f"pip install 'normreg_plugins[EXTRA]' brings it; the extras: {extras}"
