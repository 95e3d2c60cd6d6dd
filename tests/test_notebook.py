"""The notebook runs from top to bottom and shows what it says. It is stored without outputs."""

import contextlib
import io
import json
import re
from pathlib import Path

import pytest
import torch

NOTEBOOK = Path(__file__).parents[1] / "examples" / "normreg_in_five_minutes.ipynb"
CELLS = json.loads(NOTEBOOK.read_text())["cells"]
CODE = ["".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "code"]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """The names that the cells define, and what they print."""
    names: dict = {"__name__": "__main__"}
    folder = tmp_path_factory.mktemp("notebook")
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as printed:
        patch.chdir(folder)
        for code in CODE:
            exec(compile(code, NOTEBOOK.name, "exec"), names)
    return {**names, "printed": printed.getvalue(), "folder": folder}


def test_it_is_small_without_outputs_and_its_links_lead_somewhere() -> None:
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in CELLS if cell["cell_type"] == "code")
    assert NOTEBOOK.stat().st_size < 100_000
    text = "".join("".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "markdown")
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert links
    assert all((NOTEBOOK.parent / link).is_file() for link in links)


def test_a_wrong_weight_decay_fails_and_rescaling_does_not(ran: dict) -> None:
    assert ran["accuracy"]["WRS"] > 95
    assert ran["accuracy"]["WD 5e-4"] > 95
    assert ran["accuracy"]["WD 0.5"] < 30


def test_it_draws_the_runs(ran: dict) -> None:
    assert (ran["folder"] / "norms.png").read_bytes().startswith(b"\x89PNG")
    assert "WRS: <WeightRescaling(interval=10) on 3 of 4 weights" in ran["printed"]


def test_the_rescale_that_it_shows_keeps_the_function(ran: dict) -> None:
    assert ran["change"] < 1e-5
    assert not torch.allclose(ran["norms_before"], ran["norms_after"], rtol=0.05)
    assert torch.allclose(ran["norms_after"], torch.ones(16), rtol=1e-5)
