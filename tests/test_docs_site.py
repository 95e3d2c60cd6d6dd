"""The documentation site builds without a warning, and its reference has every public name."""

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MADE = re.compile("(WN|CWN|WS|BWN)(Linear|Conv)")  # classes that are made in a loop; the page has a sentence on them
ROOMS = {"core": "normreg_plugins", "monitor": "normreg_plugins.monitor", "layers": "normreg_plugins.layers"}


@pytest.mark.slow
def test_it_builds_and_knows_every_public_name(tmp_path):
    pytest.importorskip("mkdocs", reason="the extra docs is not installed")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for page_name, room in ROOMS.items():
        page = (tmp_path / "site" / "api" / f"{page_name}.html").read_text(encoding="utf-8")
        known = set(re.findall(r'id="normreg_plugins\.[\w.]*?(\w+)"', page))
        public = import_module(room).__all__
        assert {name for name in public if not MADE.match(name)} - known == set(), room
    start = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert not re.search(r'(?:src|<link[^>]* href)="https?://', start)  # nothing is loaded from elsewhere
