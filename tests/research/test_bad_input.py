"""A few cases of the campaign of bad input, the same ones each time."""

import pytest

pytest.importorskip("mmengine")

from campaigns.bad_input import attack
from campaigns.bad_input_targets import targets

pytestmark = pytest.mark.mm


def test_bad_input_is_accepted_or_refused_by_name(tmp_path):
    folder = tmp_path / "cases"
    folder.mkdir()
    places = folder, tmp_path / "code was run"
    outcomes = {target.name: attack(target, 8, 0, *places) for target in targets(*places)}
    assert len(outcomes) > 20
    assert sum(outcome.cases for outcome in outcomes.values()) >= 200
    assert {name: outcome.found for name, outcome in outcomes.items() if outcome.found} == {}
