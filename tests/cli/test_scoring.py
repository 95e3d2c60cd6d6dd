"""What eval-map, eval-miou and eval-mae share: names, pictures, and results that are never overwritten."""

from importlib import import_module

import pytest

from normreg_plugins.cli.main import main

ARGUMENTS = {
    "eval_map": ("ann.json", "a/p.pkl", "b/p.pkl", "--names", "a", "b"),
    "eval_miou": ("config.py", "a/p", "b/p", "--names", "a", "b"),
    "eval_mae": ("predictions", "test.json"),
}
COMMANDS = [pytest.param(name, marks=pytest.mark.mm if name == "eval_miou" else ()) for name in ARGUMENTS]


def refused(capsys, name, *arguments):
    with pytest.raises(SystemExit) as end:
        main([name.replace("_", "-"), *map(str, arguments)])
    assert end.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("name", COMMANDS)
def test_pictures_need_a_folder_and_results_are_not_overwritten(name, capsys, tmp_path):
    pytest.importorskip("pycocotools")
    for options in (("--pictures", 3), ("--pictures", -1, "--out", "eval")):
        assert "must be 0 or more, and more than 0 needs --out" in refused(capsys, name, *ARGUMENTS[name], *options)
    module = import_module(f"normreg_plugins.cli.{name}")
    for file in (module.METRICS, module.PICTURES):
        (tmp_path / file).write_text("precious")
        said = refused(capsys, name, *ARGUMENTS[name], "--out", tmp_path, "--pictures", 1)
        assert f"{tmp_path / file} exists: choose another --out" in said
        (tmp_path / file).unlink()


@pytest.mark.parametrize("name", COMMANDS[:2])
def test_runs_need_different_names(name, capsys):
    for names in ((), ("--names", "a"), ("--names", "a", "a")):
        assert "need 2 different names" in refused(capsys, name, *ARGUMENTS[name][:3], *names)
