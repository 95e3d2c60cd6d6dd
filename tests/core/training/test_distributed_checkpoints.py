"""torch's distributed checkpoints (DCP) of sharded models carry the update count and the norms at the start."""

from pathlib import Path

import pytest
import torch
import torch.distributed.fsdp
from helpers.dcp_ranks import FORMS, HALF, METHODS, OPTIMIZERS, with_dcp
from helpers.processes import run
from helpers.training import same_state, tiny_net, train
from torch.optim import SGD, AdamW

from normreg_plugins import WeightRescaling, attach

pytestmark = pytest.mark.slow  # ranks are processes
HAS_FSDP2 = hasattr(torch.distributed.fsdp, "fully_shard")
needs_fsdp2 = pytest.mark.skipif(not HAS_FSDP2, reason="torch.distributed.fsdp.fully_shard: torch >= 2.6")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes saved, started once for all tests."""
    folder = tmp_path_factory.mktemp("dcp")
    run([with_dcp], folder)
    assert [path.read_text() for path in folder.glob("*.error")] == []
    return folder


@needs_fsdp2
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("method", METHODS)
def test_a_sharded_run_goes_on_bit_for_bit(results: Path, method: str, optimizer: str, form: str) -> None:
    found = torch.load(results / f"{f'{method} {optimizer} {form}'.strip()}.pt", weights_only=True)
    assert found["loaded"] == HALF
    unbroken, resumed = found["ends"]
    assert unbroken.keys() == resumed.keys()
    assert any("normreg_plugins/updates" in key for key in unbroken)
    assert any("normreg_plugins/weights/0.weight/radius" in key for key in unbroken) == (method == "WRS initial")
    for key, value in unbroken.items():
        same = torch.equal(value, resumed[key]) if torch.is_tensor(value) else value == resumed[key]
        assert same, key


@needs_fsdp2
def test_a_template_of_a_run_that_did_not_step_leaves_it_as_it_was() -> None:
    """torch makes a step with rate 0 and gradients of zeros, so that there is a state to load into."""
    from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict

    net, plain = tiny_net(), tiny_net()
    optimizer = SGD(net.parameters(), lr=0.1)
    handle = attach(optimizer, net, WeightRescaling(interval=1))
    for _ in range(2):
        state = get_optimizer_state_dict(net, optimizer)
    assert handle.updates == 0
    assert same_state(net, plain)
    assert state["param_groups"][0]["normreg_plugins"] == {"updates": 0}
    train(net, optimizer, 1)
    assert handle.updates == 1


def test_a_step_with_rate_0_counts_unless_all_gradients_are_zero() -> None:
    """A warm-up may begin with rate 0."""
    net = tiny_net()
    optimizer = AdamW(net.parameters(), lr=0.0)
    handle = attach(optimizer, net, WeightRescaling(interval=10))
    train(net, optimizer, 2)
    assert handle.updates == 2
    for parameter in net.parameters():
        parameter.grad.zero_()
    optimizer.step()
    assert handle.updates == 2
    optimizer.param_groups[0]["lr"] = 0.1
    optimizer.step()
    assert handle.updates == 3
