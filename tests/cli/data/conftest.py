"""How the tests run a command that prepares a set."""

from types import SimpleNamespace

import pytest

from normreg_plugins.cli.main import main


@pytest.fixture
def prepare(tmp_path, monkeypatch, capsys):
    """Run a command in the folder of the test; its exit code, and what it printed."""
    monkeypatch.chdir(tmp_path)

    def run(name: str, *arguments: object) -> SimpleNamespace:
        code = main([f"prepare-{name.replace('_', '-')}", *map(str, arguments)])
        return SimpleNamespace(code=code, **capsys.readouterr()._asdict())

    return run
