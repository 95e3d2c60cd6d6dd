"""How the tests run a command."""

import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
from helpers import processes

from normreg_plugins.cli.main import COMMANDS, load, main

ROOT = Path(__file__).resolve().parents[2]


def command_of(name):
    """The command that `tools/NAME` calls."""
    return re.search(r'main\(\["([\w-]+)"', (ROOT / "tools" / name).read_text())[1]


@pytest.fixture
def run_tool():
    """Run the command of `tools/NAME` in a process of its own, and return what it did."""

    def run(name, *args, cwd=ROOT, ranks=1):
        load(command_of(name))  # in this process, so that not each of the others imports it
        if COMMANDS[command_of(name)].extra == "mm":
            for host in filter(find_spec, ("mmdet", "mmseg", "mmpretrain")):
                import_module(f"{host}.utils").register_all_modules(init_default_scope=False)
        launched = ["--launcher", "pytorch"] if ranks > 1 else []
        return processes.command(lambda: main([command_of(name), *map(str, args), *launched]), cwd, ranks)

    return run


@pytest.fixture
def user(run_tool):
    """Run a command that must succeed; what it printed."""

    def run(*args, **options):
        done = run_tool(*args, **options)
        assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-9000:]
        return done.stdout + done.stderr

    return run


@pytest.fixture
def tool(capsys):
    """Run the command of `tools/NAME` in this process, which is faster, and return what it did."""

    def run(name, *args):
        capsys.readouterr()
        try:
            code = main([command_of(name), *map(str, args)])
        except SystemExit as end:
            code = end.code
        return processes.Done(code, *capsys.readouterr())

    return run
