"""`normreg NAME`: every command starts, every script in tools/ is one, and errors of the user are one line."""

import re
from pathlib import Path

import pytest

from normreg_plugins.cli import main as table
from normreg_plugins.cli.main import COMMANDS, main
from normreg_plugins.core.errors import NormRegError

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted((ROOT / "tools").rglob("*.py"))
HOSTS = {"mm": "mmdet", "ultralytics": "ultralytics"}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_how_it_is_used(name, capsys):
    if host := HOSTS.get(COMMANDS[name].extra):
        pytest.importorskip(host)
    try:
        code = main([name, "--help"])
    except SystemExit as end:
        code = end.code
    assert code == 0
    assert len(capsys.readouterr().out) > 200


def test_every_script_is_a_command():
    for script in SCRIPTS:
        (name,) = re.findall(r'main\(\["([\w-]+)", \*sys\.argv\[1:\]\]\)', script.read_text())
        module, _, function = COMMANDS[name].target.split(".")[-1].partition(":")
        assert script.stem in (module, f"prepare_{function}", f"{function.removesuffix('_main')}_checkpoint")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 0, "eval-map "),
        (("--help",), 0, "train-ultralytics "),
        (("trian",), 2, "there is no command trian; did you mean train?"),
        (("eval_mae",), 2, "did you mean eval-mae"),
    ],
)
def test_the_list_of_commands_and_names_that_are_near(arguments, code, words, capsys):
    assert main(arguments) == code
    assert words in "".join(capsys.readouterr())


@pytest.fixture
def failing(monkeypatch):
    """Run a command that raises."""

    def run(error):
        def fail(_):
            raise error

        monkeypatch.setattr(table, "load", lambda _: fail)
        return main(["train"])

    return run


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (NormRegError("interval=0 must be 1 or more"), 2, "normreg train: interval=0 must be 1 or more\n"),
        (ModuleNotFoundError(name="mmcv.ops"), 2, "normreg train needs mmcv, which is not installed: pip install"),
        (KeyboardInterrupt(), 130, "normreg train: stopped\n"),
    ],
)
def test_an_error_that_the_user_can_mend_is_one_line(error, code, said, failing, capsys):
    assert failing(error) == code
    assert capsys.readouterr().err.startswith(said)


@pytest.mark.parametrize("error", [ModuleNotFoundError(name="my_module"), IndexError()])
def test_other_errors_keep_their_traceback(error, failing):
    with pytest.raises(type(error)):
        failing(error)


def test_every_script_that_is_mentioned_exists():
    pages = [ROOT / "Makefile", ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    for room in ("configs", "docs", "normreg_plugins", "tools"):
        pages += [path for path in (ROOT / room).rglob("*") if path.suffix in (".md", ".py", ".sh", ".yaml")]
    found = {(path, name) for path in pages for name in re.findall(r"\btools/[\w/]+\.(?:py|sh)\b", path.read_text())}
    assert [(str(path), name) for path, name in sorted(found) if not (ROOT / name).is_file()] == []
