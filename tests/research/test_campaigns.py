"""The campaigns find what they look for, and a short one finds nothing in the package."""

import random
import time

import pytest
import torch

pytest.importorskip("mmengine")

from hypothesis import strategies as st

from normreg_plugins import WeightRescaling
from research.campaigns import load
from research.campaigns.bad_input import Attack, attack
from research.campaigns.bad_input_targets import Target, targets
from research.campaigns.damage import attacks
from research.campaigns.kills import Campaign
from research.campaigns.victims import VICTIMS, Victim

pytestmark = pytest.mark.mm
needs_cpu_scaler = pytest.mark.skipif(not hasattr(torch.amp, "GradScaler"), reason="torch.amp.GradScaler: torch >= 2.3")


def test_bad_input_is_accepted_or_refused_by_name(tmp_path):
    """A few cases of the campaign, the same ones each time."""
    folder = tmp_path / "cases"
    folder.mkdir()
    places = folder, tmp_path / "code was run"
    outcomes = {target.name: attack(target, 8, 0, *places) for target in targets(*places)}
    assert sum(outcome.cases for outcome in outcomes.values()) >= 160
    assert {name: outcome.found for name, outcome in outcomes.items() if outcome.found} == {}


def found_by(give, value, tmp_path):
    one = Attack(Target("target", st.nothing(), give, ".pkl"), tmp_path, tmp_path / "marker")
    one.case(value)
    return list(one.outcome.found)


def unnamed(path):
    raise ValueError(path)


def anonymous(_):
    raise WeightRescaling(interval=0)


def test_an_error_from_the_depths_is_found(tmp_path):
    assert "ValueError" in found_by(unnamed, b"", tmp_path)[0]


def test_an_error_without_the_files_name_is_found(tmp_path):
    assert "NormRegError does not name the file" in found_by(anonymous, b"", tmp_path)[0]


def test_a_lost_file_is_found(tmp_path):
    assert found_by(lambda path: path.unlink(), b"", tmp_path) == ["the file was changed or removed"]


def test_code_that_is_run_is_found(tmp_path):
    content = attacks(tmp_path / "marker")[-1]
    run = found_by(lambda path: torch.load(path, weights_only=False), content, tmp_path)
    assert run == ["code of the file was run"]


@needs_cpu_scaler
def test_a_wrong_norm_and_a_wrong_count_are_found(tmp_path):
    run = load.Run(WeightRescaling(interval=1), tmp_path)
    run.call(0)
    run.check()
    assert run.faults == []
    with torch.no_grad():
        run.net[0].weight.mul_(1.1)
    run.made = 2
    run.check()
    assert [fault.split(": ", 1)[1][:12] for fault in run.faults] == ["the count is", "0.weight: fi"]


@needs_cpu_scaler
def test_a_short_load_finds_nothing(tmp_path):
    assert load.run("WRS initial", 100, tmp_path, say=str)["faults"] == []


@pytest.mark.parametrize(("victim", "way"), [("plain", "SIGKILL"), ("plain", "file size"), ("comparison", "SIGTERM")])
def test_a_killed_run_ends_like_the_unbroken_one(tmp_path, victim, way):
    campaign = Campaign(VICTIMS[victim], tmp_path, random.Random(0), [way])
    campaign.one_run(2)
    assert campaign.tally.found == []
    assert campaign.tally.finished == 1


def forgets(folder):
    """A run that writes in place, and draws something new at each start."""
    file = folder / "checkpoint.pth"
    file.write_bytes(b"half a checkpoint")
    while time.process_time() < 0.4:
        pass
    torch.save({"net": {"weight": torch.tensor(time.time(), dtype=torch.float64)}}, file)


def test_a_torn_checkpoint_and_another_end_are_found(tmp_path):
    victim = Victim(forgets, VICTIMS["plain"].result, ("checkpoint.pth",))
    campaign = Campaign(victim, tmp_path, random.Random(0), ["SIGKILL"])
    campaign.seconds = 0.3
    campaign.one_run(1)
    found = " ".join(campaign.tally.found)
    assert "checkpoint.pth is torn" in found or not campaign.tally.ends
    assert "1 of 1 results differ" in found
