"""The growth of costs is measured on nets of the sizes it names."""

import pytest
from matplotlib.image import imread

from research import benchmark_growth as tool


def test_exponents_of_known_laws() -> None:
    assert tool.exponent({n: 3.0 * n for n in (4, 8, 16)}) == pytest.approx(1)
    assert tool.exponent({n: 0.1 * n * n for n in (4, 8, 16)}) == pytest.approx(2)


def test_a_chain_has_the_weights_it_is_asked_for() -> None:
    assert len(tool.find_scale_invariant(tool.chain(5))) == 5
    assert [v.kind.value for v in tool.find_scale_invariant(tool.chain(2))] == ["invariant"] * 2


def test_parts_are_shown_in_steps_of_their_own_chain() -> None:
    table = tool.growth_table({2: {tool.STEP: 0.5, "attach": 1.0}, 4: {tool.STEP: 1.0, "attach": 4.0}})
    assert [[*column.cells] for column in table.columns[1:]] == [["1", "2"], ["1", "4"], ["1.00", "2.00"]]


def test_it_prints_and_draws(tmp_path, capsys) -> None:
    picture = tmp_path / "growth.png"
    small = ["--weights", "2", "4", "--rounds", "1", "--nets", "resnet10t", "--size", "32", "--ranks", "1"]
    assert tool.main([*small, "--plot", str(picture)]) == 0
    printed = capsys.readouterr().out
    said = ("2 weights", "4 weights", "prove by numbers", "resnet10t", "DDP: attach", "import normreg_plugins")
    for words in said:
        assert words in printed
    assert imread(picture).std() > 0


def test_ranks_are_shown_as_ratios_to_the_smallest_number() -> None:
    table = tool.ranks_table({1: {"attach": 0.002}, 2: {"attach": 0.003}, 4: {"attach": 0.001}})
    assert [column.header for column in table.columns] == ["one rank, beside one of 1", "of 2", "of 4"]
    assert [next(column.cells) for column in table.columns] == ["attach", "1.50 x", "0.50 x"]


WRONG = [["--weights", "4"], ["--rounds", "0"], ["--nets", "resnet9999"], ["--ranks", "0"]]


@pytest.mark.parametrize("arguments", WRONG)
def test_what_cannot_be_measured_is_refused(arguments) -> None:
    with pytest.raises(SystemExit, match="2"):
        tool.main(arguments)
