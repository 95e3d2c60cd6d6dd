"""Tools take the path of a config, or the name of one of ours from any folder."""

import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.mm


def test_a_name_of_ours_is_found_from_any_folder_and_a_file_of_that_name_comes_first(tmp_path, monkeypatch) -> None:
    pytest.importorskip("mmengine")
    from normreg_plugins.cli.shared.config_files import config_of, find_config

    monkeypatch.chdir(tmp_path)
    assert config_of("mini/yolov3_wrs.py").optim_wrapper.regularizer.type == "WRS"
    (tmp_path / "mini").mkdir()
    (tmp_path / "mini/yolov3_wrs.py").write_text("")
    assert find_config("mini/yolov3_wrs.py") == Path("mini/yolov3_wrs.py")


def test_a_config_may_import_a_module_of_the_working_directory(tmp_path, monkeypatch) -> None:
    pytest.importorskip("mmengine")
    from normreg_plugins.cli.shared.config_files import config_of

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "my_module_beside_the_config.py").write_text("found = True")
    (tmp_path / "mine.py").write_text('custom_imports = dict(imports=["my_module_beside_the_config"])')
    config_of("mine.py")
    assert sys.modules.pop("my_module_beside_the_config").found


def test_a_wheel_names_the_commands_that_it_has() -> None:
    from normreg_plugins.cli.preflight.where_to_get import as_installed

    text = "make it: python tools/data/make_mini_data.py crowd"
    assert as_installed(text, Path("site/normreg_plugins/.mim/tools/preflight/where_to_get.py")) == (
        "make it: normreg data/make_mini_data crowd"
    )
    assert as_installed(text, Path("tools/preflight/where_to_get.py")) == text
