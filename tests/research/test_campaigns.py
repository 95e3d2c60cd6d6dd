"""The campaigns find what they look for, and a short one finds nothing in the package."""

import random
import time

import pytest
import torch

pytest.importorskip("mmengine")

from hypothesis import strategies as st

from normreg_plugins import WeightRescaling
from research.campaigns import bad_input
from research.campaigns.kills import VICTIMS, Campaign, Victim

pytestmark = pytest.mark.mm


def test_bad_input_is_accepted_or_refused_by_name():
    found = bad_input.run(cases=160, start=0)
    assert len(found) > 10
    assert not {name: faults for name, faults in found.items() if faults}


def unnamed(path):
    raise ValueError(path)


def anonymous(_):
    raise WeightRescaling(interval=0)


@pytest.mark.parametrize(
    ("give", "fault"), [(unnamed, "ValueError"), (anonymous, "NormRegError does not name the file")]
)
def test_what_bad_input_must_not_do_is_found(tmp_path, give, fault):
    target = bad_input.Target("target", st.nothing(), give, ".pth")
    assert bad_input.fault(target, b"bytes", tmp_path).startswith(fault)


@pytest.mark.parametrize(
    ("victim", "way"), [("plain", "SIGKILL"), ("plain", "file size"), ("mm", "SIGKILL"), ("comparison", "SIGTERM")]
)
def test_a_killed_run_ends_like_the_unbroken_one(tmp_path, victim, way):
    campaign = Campaign(VICTIMS[victim], tmp_path, random.Random(0))
    campaign.one_run([way, way])
    assert campaign.found == []
    assert campaign.finished == 1


def forgets(folder):
    """A run that writes in place, and draws something new at each start."""
    file = folder / "checkpoint.pth"
    file.write_bytes(b"half a checkpoint")
    while time.process_time() < 0.4:
        pass
    torch.save({"net": {"weight": torch.tensor(time.time(), dtype=torch.float64)}}, file)


def test_a_torn_checkpoint_and_another_end_are_found(tmp_path):
    victim = Victim(forgets, VICTIMS["plain"].result, ("checkpoint.pth",))
    campaign = Campaign(victim, tmp_path, random.Random(0))
    campaign.seconds = 0.3
    campaign.one_run(["SIGKILL"])
    found = " ".join(campaign.found)
    assert "checkpoint.pth is torn" in found or not campaign.ends
    assert "1 of 1 results differ" in found
