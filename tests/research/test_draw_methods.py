"""The pictures of the methods' pages are real paths."""

import math
from pathlib import Path

import pytest

from research import draw_methods as tool

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"


def lengths(name, start, with_method=True):
    card = tool.CARDS[name]
    return [math.hypot(*place) for place in tool.path_of(card, start, card.method if with_method else None)]


def test_the_paths_are_those_of_the_methods() -> None:
    assert lengths("wrs", 1.0)[::10] == pytest.approx([1.0] * 5, abs=1e-5)
    assert max(lengths("wrs", 1.0)) > 1.05
    assert lengths("wrs", 1.0, with_method=False)[-1] > 1.3
    long, short = lengths("aws", 3.0), lengths("aws", 0.8)
    assert (long[0], short[0]) == pytest.approx((3.0, 0.8))
    assert long[-1] == pytest.approx(short[-1], rel=0.1)
    assert lengths("pgd", math.sqrt(2)) == pytest.approx([math.sqrt(2)] * 41, abs=1e-5)
    assert lengths("hyperball", 1.5) == pytest.approx([1.5] * 41, abs=1e-5)


def test_every_card_has_its_picture_in_the_repository(tmp_path, capsys) -> None:
    assert tool.main(["--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines() == [f"picture: {tmp_path / name}.svg" for name in tool.CARDS]
    for name in tool.CARDS:
        kept = PICTURES / f"{name}.svg"
        assert kept.is_file()
        page = PICTURES.parent / "methods" / f"{name}.md"
        assert f"pictures/{name}.svg" in page.read_text()
