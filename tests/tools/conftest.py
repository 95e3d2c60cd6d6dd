"""The tools are scripts: what they import lies in their own folder, as for Python itself."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))


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
