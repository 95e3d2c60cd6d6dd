"""The pages in docs/results say what the raw results in research/results say."""

import json
import re
from pathlib import Path

import pytest

from research.compare.page import markdown, read_content, with_tables
from research.tables.l2 import best_rates

ROOT = Path(__file__).resolve().parents[1]
RESULTS, PAGES_FOLDER = ROOT / "research" / "results", ROOT / "docs" / "results"
TABLES = sorted(RESULTS.glob("*.json"))
FOLDERS = (PAGES_FOLDER, RESULTS, *sorted((ROOT / "research" / "tables").iterdir()))
PAGES = {path: path.read_text() for folder in FOLDERS for path in sorted(folder.glob("*.md"))}


@pytest.mark.parametrize("table", TABLES, ids=lambda path: path.stem)
def test_a_table_is_what_the_runner_prints_from_the_json(table):
    tables = markdown(*read_content(table))
    (page,) = [text for text in PAGES.values() if f"<!-- tables of {table.stem} -->" in text]
    assert with_tables(page, table.stem, tables) == page, (
        f"run: python -m research.compare research/results/{table.name} --page PAGE"
    )


@pytest.mark.parametrize("table", TABLES, ids=lambda path: path.stem)
def test_a_table_names_no_folder_of_one_machine(table):
    content = json.loads(table.read_text())
    texts = [content["command"], json.dumps(content["comparison"])]
    assert not [text for text in texts if re.search(r"(?<![\w.~])/(?:home|work|root|tmp|opt|mnt)/", text)]


def test_results_are_small_and_each_picture_is_shown():
    shown = "".join(PAGES.values())
    assert all(path.stat().st_size < 500_000 for path in RESULTS.rglob("*.json"))
    for path in (path for folder in FOLDERS for path in folder.glob("*.png")):
        assert path.stat().st_size < 150_000, path.name
        assert f"({path.name})" in shown, path.name


def test_the_powers_of_the_best_rates_are_those_of_the_grid():
    comparison, found, _ = read_content(RESULTS / "l2_figure_1_small.json")
    assert best_rates.shown(comparison, found) in PAGES[ROOT / "research/tables/l2/README.md"]


@pytest.mark.parametrize("name", ["bccd", "camvid", "mbm"])
def test_the_scores_beside_the_configs_are_those_of_the_pages(name):
    table = (ROOT / "configs/README.md").read_text().split("| `small/` |")[-1]
    methods, *rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in table.strip().splitlines()]
    ((_, *scores),) = [row for row in rows if f"_{name}.py" in row[0]]
    ((_, page),) = [text.split(f"<!-- tables of {name} -->") for text in PAGES.values() if f" of {name} -->" in text]
    for method, score in zip(methods, scores, strict=True):
        assert f"\n| {method} | {score}±" in page.split("<!-- end of")[0]


def test_the_scores_from_public_weights_are_those_of_the_pages():
    rows = re.findall(
        r"^\| `(\w+)\.py` \| [^|]+ \| \S+ ([\d.]+) \|$", (ROOT / "configs/README.md").read_text(), re.MULTILINE
    )
    contents = {table: read_content(table) for table in TABLES}
    found = {Path(content[0].config).stem: markdown(*content) for content in contents.values() if content[0].config}
    assert len(rows) >= 2
    assert [name for name, score in rows if f"\n| wd | {score}±" not in found[name]] == []
