"""The code of the README and the docs runs and prints what they say, and what they name exists."""

import ast
import contextlib
import dataclasses
import io
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import normreg_plugins
from normreg_plugins import AdaptiveWeightShrink, CorrectedDecay, Hyperball, SphereDescent, WeightRescaling
from normreg_plugins.cli.main import COMMANDS
from normreg_plugins.core.training import handle_of
from normreg_plugins.hosts import methods

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    str(path.relative_to(ROOT))
    for path in (
        *ROOT.glob("*.md"),
        *(p for room in ("configs", "docs", "research") for p in (ROOT / room).rglob("*.md")),
    )
)
CARDS = {
    "wrs": WeightRescaling,
    "aws": AdaptiveWeightShrink,
    "pgd": SphereDescent,
    "hyperball": Hyperball,
    "corrected_decay": CorrectedDecay,
}
DOCS = ("verdicts", "fine_tuning", "own_method", *(f"methods/{name}" for name in CARDS))
RUNNABLE = ("README.md", *(f"docs/{name}.md" for name in DOCS))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DECIMAL = re.compile(r"\d+\.\d+")


def text_of(page: str) -> str:
    return (ROOT / page).read_text()


def printed_by(code: str, names: dict) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(code, "block", "exec"), names)
    return printed.getvalue()


def same_text(expected: str, printed: str) -> bool:
    """Alike to the letter; '...' stands for any text, and decimal numbers may differ as between machines."""
    parts = (re.escape(part) for part in DECIMAL.sub("#", expected).strip().split("..."))
    if not re.fullmatch(".*".join(parts), DECIMAL.sub("#", printed).strip(), re.DOTALL):
        return False
    said, found = ([float(number) for number in DECIMAL.findall(text)] for text in (expected, printed))
    return "..." in expected or found == pytest.approx(said, rel=0.3)


def run_page(page: str) -> dict:
    """Run a page's code from top to bottom, compare each output with the page, and return what was defined."""
    torch.manual_seed(0)
    names: dict = {"__name__": page, "_base_": SimpleNamespace(custom_hooks=[])}
    printed = ""
    for language, content in BLOCK.findall(text_of(page)):
        if language == "python":
            printed = printed_by(content, names)
        elif language == "text":
            assert same_text(content, printed), f"{page} says\n{content}\nbut it prints\n{printed}"
    return names


@pytest.mark.parametrize("page", RUNNABLE)
def test_code_runs_and_prints_what_the_page_says(page, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = dict(methods.METHODS)
    run_page(page)
    methods.METHODS.clear()
    methods.METHODS.update(before)


@pytest.mark.mm
@pytest.mark.parametrize("way", ["optim_wrapper", "custom_hooks"])
def test_two_lines_put_the_method_to_work_in_an_mm_config(way, tmp_path) -> None:
    from helpers import mm_toy
    from mmengine.config import Config
    from mmengine.hooks import EmptyCacheHook
    from mmengine.runner import Runner

    (lines,) = [code for language, code in BLOCK.findall(text_of("README.md")) if language == "python" and way in code]
    base = mm_toy.config(tmp_path / "work", custom_hooks=[{"type": "EmptyCacheHook"}])
    base.dump(tmp_path / "base.py")
    (tmp_path / "child.py").write_text(f'_base_ = "base.py"\n{lines}')
    runner = Runner.from_cfg(Config.fromfile(tmp_path / "child.py"))
    runner.train()
    handle = handle_of(runner.optim_wrapper.optimizer)
    assert handle is not None
    assert handle.method == WeightRescaling(interval=10)
    assert (len(handle.targets), handle.updates) == (3, 12)
    assert any(isinstance(hook, EmptyCacheHook) for hook in runner.hooks)  # the base's own hooks are kept


@pytest.mark.parametrize("page", PAGES)
def test_commands_name_what_there_is(page) -> None:
    code = "\n".join(content for language, content in BLOCK.findall(text_of(page)) if language in ("bash", "console"))
    code += "\n".join(re.findall(r"`([^`]+)`", BLOCK.sub("", text_of(page))))
    targets = re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE)
    for target in re.findall(r"\bmake ([a-z-]+)", code):
        assert target in targets, f"{page}: make {target}"
    sources = "".join(
        path.read_text() for room in ("normreg_plugins/cli", "tools") for path in (ROOT / room).rglob("*.[ps][yh]")
    )
    for line in code.replace("\\\n", " ").splitlines():
        for path in re.findall(r"\b(?:tools|configs)/[\w/]+\.(?:py|sh)\b", line):
            assert (ROOT / path).is_file(), f"{page}: {path}"
        for module in re.findall(r"python -m (research[\w.]*\w)", line):
            found = ROOT / module.replace(".", "/")
            assert found.with_suffix(".py").is_file() or (found / "__main__.py").is_file(), f"{page}: {module}"
        for command in re.findall(r"\bnormreg ([a-z][a-z0-9-]*)", line):
            assert command in COMMANDS, f"{page}: normreg {command}"
        for option in re.findall(r"\s(--[a-z][\w-]*)", line) if re.search(r"tools/|normreg [a-z]", line) else ():
            assert f'"{option}"' in sources or f"[{option}" in sources, f"{page}: {option}"


@pytest.mark.parametrize("page", [*PAGES, "examples/normreg_in_five_minutes.ipynb"])
def test_extras_that_a_page_installs_are_there(page) -> None:
    extras = text_of("pyproject.toml").split("[project.optional-dependencies]")[1].split("\n[")[0]
    named = re.findall(r"pip install .*?\[([\w,-]+)\]", text_of(page))
    assert {extra for each in named for extra in each.split(",")} <= {
        *re.findall(r"^([a-z-]+) = ", extras, re.MULTILINE)
    }


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page) -> None:
    for target in re.findall(r"\]\(([^)#]*(?:#[^)]*)?)\)", BLOCK.sub("", text_of(page))):
        path, _, anchor = target.partition("#")
        if path.startswith(("http:", "https:")):
            continue
        found = (ROOT / page).parent / path if path else ROOT / page
        assert found.exists(), f"{page}: {target}"
        headings = re.findall(r"^#+ (.*)$", found.read_text(), re.MULTILINE) if anchor else []
        anchors = [re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings]
        assert not anchor or anchor in anchors, f"{page}: {target}"


@pytest.mark.parametrize("card", CARDS)
def test_cards_tell_every_setting_and_its_default(card) -> None:
    told: dict = {}
    rows = re.findall(r"^\| (`[a-z_`, ]+`) \| ([^|]+) \|", text_of(f"docs/methods/{card}.md"), re.MULTILINE)
    for names, shown in (tuple(cell.replace("`", "").split(", ") for cell in row) for row in rows):
        values = [None if value == "none" else ast.literal_eval(value) for value in shown]
        told.update(zip(names, values, strict=True))
    defaults = {field.name: field.default for field in dataclasses.fields(CARDS[card])}
    assert told == {name: None if default == () else default for name, default in defaults.items()}


def test_every_public_name_is_explained_somewhere() -> None:
    pages = "".join(map(text_of, PAGES))
    missing = [name for name in normreg_plugins.__all__ if not re.search(rf"\b{name}\b", pages)]
    assert missing == []


def test_no_page_holds_a_path_of_one_machine() -> None:
    tracked = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    for page in {*PAGES, *tracked.split()}:
        assert not re.search(r"(?<![\w.~])/(?:home|work|root|tmp|opt|mnt)/", text_of(page)), page
