"""The commands that draw the pictures of the pages, and the one that reads the logs of runs."""

import math
from pathlib import Path

import pytest

from normreg_plugins import WeightDecay, WeightRescaling
from research import draw_front_page, draw_methods

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"


def test_wrs_keeps_the_norm_and_without_decay_it_grows() -> None:
    settings = ((0.0, WeightDecay()), (draw_front_page.DECAY, WeightRescaling(interval=1)))
    (grown, _), (unit, accuracy) = (draw_front_page.train(decay, method, 200) for decay, method in settings)
    norms = [report.overall.filter_norm for report in grown]
    assert norms[-1] > 1.5 * norms[0]
    assert [report.overall.filter_norm for report in unit] == pytest.approx([1.0] * len(unit), abs=1e-5)
    rates = [report.overall.eta_over_squared_norm for report in unit]
    assert rates[0] == pytest.approx(10 * rates[-1], rel=1e-3)  # the schedule's drop, and nothing else
    assert accuracy > 50


@pytest.mark.parametrize(
    ("command", "arguments", "names"),
    [
        (draw_front_page, ["--updates", "20"], ["idea", "courses"]),
        (draw_methods, [], list(draw_methods.CARDS)),
    ],
)
def test_the_pictures_of_the_pages_are_drawn(command, arguments, names, tmp_path, capsys) -> None:
    assert command.main([*arguments, "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines() == [f"picture: {tmp_path / name}.svg" for name in names]
    assert all((tmp_path / f"{name}.svg").read_text().startswith("<?xml") for name in names)
    assert all((PICTURES / f"{name}.svg").stat().st_size < 150_000 for name in names)


def lengths(name, start, with_method=True):
    card = draw_methods.CARDS[name]
    return [math.hypot(*place) for place in draw_methods.path_of(card, start, card.method if with_method else None)]


def test_the_paths_are_those_of_the_methods() -> None:
    assert lengths("wrs", 1.0)[::10] == pytest.approx([1.0] * 5, abs=1e-5)
    assert max(lengths("wrs", 1.0)) > 1.05
    assert lengths("wrs", 1.0, with_method=False)[-1] > 1.3
    long, short = lengths("aws", 3.0), lengths("aws", 0.8)
    assert (long[0], short[0]) == pytest.approx((3.0, 0.8))
    assert long[-1] == pytest.approx(short[-1], rel=0.1)
    assert lengths("pgd", math.sqrt(2)) == pytest.approx([math.sqrt(2)] * 41, abs=1e-5)
    assert lengths("hyperball", 1.5) == pytest.approx([1.5] * 41, abs=1e-5)
