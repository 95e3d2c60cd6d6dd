"""How the tests run a command, and the drawn crowds that several of them start from."""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from normreg_plugins.cli.data.make_mini_data import make_mini_set
from normreg_plugins.cli.main import main

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def run_tool():
    """Run `tools/NAME` as a user would, by default in the repository, and return what it did."""

    def run(name, *args, cwd=ROOT, **env):
        return subprocess.run(
            [sys.executable, str(ROOT / "tools" / name), *map(str, args)],
            cwd=cwd,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **env},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run


@pytest.fixture
def tool(capsys):
    """Run the command of `tools/NAME` in this process, which is faster, and return what it did."""

    def run(name, *args):
        capsys.readouterr()
        command = re.search(r'main\(\["([\w-]+)"', (ROOT / "tools" / name).read_text())[1]
        try:
            code = main([command, *map(str, args)])
        except SystemExit as end:
            code = end.code
        out, err = capsys.readouterr()
        return SimpleNamespace(returncode=code, stdout=out, stderr=err)

    return run


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """A small drawn crowd set in raw UCF-QNRF layout."""
    folder = tmp_path_factory.mktemp("raw") / "crowd"
    make_mini_set("crowd", folder, train=6, val=2, size=64)
    return folder
