"""Each command of tools/ starts by its path, finds the libraries, and says where it is."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"
FILES = {str(path.relative_to(TOOLS)): path.read_text() for path in sorted(TOOLS.rglob("*.py"))}
COMMANDS = [name for name, text in FILES.items() if 'if __name__ == "__main__":' in text]


def start(tools: Path, name: str, folder: Path) -> subprocess.CompletedProcess:
    """`--help` of a command, in another folder, with nothing that helps Python to find tools/."""
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    env |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(folder / "package")}
    return subprocess.run(
        [sys.executable, str(tools / name), "--help"], cwd=folder, env=env, capture_output=True, text=True, check=False
    )


@pytest.fixture
def folder(tmp_path):
    """An empty folder with a link to the package, which may be installed from elsewhere."""
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "normreg_plugins").symlink_to(TOOLS.parent / "normreg_plugins")
    return tmp_path


@pytest.mark.mm
@pytest.mark.parametrize("name", ["eval_mae.py", "data/prepare_qnrf.py", "checkpoints/fold_checkpoint.py"])
def test_a_command_starts_from_any_folder(name, folder):
    done = start(TOOLS, name, folder)
    assert done.returncode == 0, done.stderr
    assert f"tools/{name}" in done.stdout


def test_a_command_starts_in_a_copy_of_tools(folder):
    """A wheel has its tools in a folder `.mim`."""
    copy = folder / ".mim" / "tools"
    shutil.copytree(TOOLS, copy, ignore=shutil.ignore_patterns("__pycache__"))
    done = start(copy, "data/prepare_qnrf.py", folder)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_a_command_or_a_library(name):
    main = any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in ast.parse(FILES[name]).body)
    assert main == (name in COMMANDS)
    imported = re.findall(r"^ *(?:from|import) (tools[\w.]*)(?: import (\w+))?", FILES[name], re.MULTILINE)
    modules = {path for module, name in imported for path in (module, f"{module}.{name}")}
    assert not modules & {f"tools.{command.removesuffix('.py').replace('/', '.')}" for command in COMMANDS}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_that_uses_a_library_says_where_tools_is(name):
    depth = name.count("/") + 1
    line = f"sys.path.insert(0, str(Path(__file__).resolve().parents[{depth}]))  # tools/__init__.py says why"
    assert ("\nfrom tools." in FILES[name]) == (line in FILES[name].splitlines())


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_names_itself_by_its_path(name):
    shown = re.findall(r"python (tools/[\w/]+\.py)", ast.get_docstring(ast.parse(FILES[name])) or "")
    assert all((TOOLS.parent / path).is_file() for path in shown)


def test_every_tool_that_is_mentioned_is_there():
    root = TOOLS.parent
    pages = [root / "Makefile", *root.glob("*.md")]
    for room in ("configs", "docs", "normreg_plugins", "tests", "tools"):
        pages += [path for path in (root / room).rglob("*") if path.suffix in (".md", ".py", ".sh", ".yaml")]
    mentions = {path: set(re.findall(r"\btools/[\w/]+\.(?:py|sh)\b", path.read_text())) for path in pages}
    lost = {
        str(path): gone for path, found in mentions.items() if (gone := {m for m in found if not (root / m).is_file()})
    }
    assert lost == {}


def test_no_two_files_share_a_name():
    names = [Path(name).name for name in FILES if not name.endswith("__init__.py")]
    assert sorted(names) == sorted(set(names))
