"""The code of the pages for users runs and prints what they say."""

import ast
import dataclasses
import re
from pathlib import Path

import pytest
from test_readme import run_page

from normreg_plugins import Hyperball
from normreg_plugins.hosts import method_names

ROOT = Path(__file__).parents[1]
RUNNABLE = ["docs/own_method.md", "docs/methods/hyperball.md"]


@pytest.mark.parametrize("page", RUNNABLE)
def test_code_runs_and_prints_what_the_page_says(page, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = dict(method_names.METHODS)
    run_page(page)
    method_names.METHODS.clear()
    method_names.METHODS.update(before)


def test_the_card_of_hyperball_tells_every_setting_and_its_default() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", (ROOT / "docs/methods/hyperball.md").read_text(), re.MULTILINE)
    told = {name: None if shown == "none" else ast.literal_eval(shown.strip("`")) for name, shown in rows}
    assert told == {field.name: field.default for field in dataclasses.fields(Hyperball)}
