"""Several processes: DDP needs nothing, FSDP2 shards whole filters, flat shards are refused."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.distributed.fsdp
from helpers.odd_shards import odd_net, train_odd, with_counted_messages, with_odd_shards
from helpers.processes import METHODS, WORLD, run, train_with, with_ddp, with_fsdp1, with_fsdp2
from helpers.training import tiny_net
from torch.optim import SGD

from normreg_plugins import attach
from normreg_plugins.core.errors import AttachError

HAS_FSDP2 = hasattr(torch.distributed.fsdp, "fully_shard")
pytestmark = pytest.mark.slow  # ranks are processes
needs_fsdp2 = pytest.mark.skipif(not HAS_FSDP2, reason="torch.distributed.fsdp.fully_shard: torch >= 2.6")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes saved, started once for all tests."""
    folder = tmp_path_factory.mktemp("processes")
    sharded = [with_fsdp2, with_odd_shards, with_counted_messages] if HAS_FSDP2 else []
    run([with_ddp, with_fsdp1, *sharded], folder)
    return folder


def assert_no_error(results: Path, task: Callable) -> None:
    assert [path.read_text() for path in results.glob(f"{task.__name__} *.error")] == []


def test_ranks_stay_bit_equal_under_ddp(results: Path) -> None:
    assert_no_error(results, with_ddp)
    for name in METHODS:
        one, other = (torch.load(results / f"ddp {name} {rank}.pt", weights_only=True) for rank in range(WORLD))
        weights = [key for key in one if "running" not in key]  # each rank's statistics are of its own batches
        assert len(weights) > 6
        assert all(torch.equal(one[key], other[key]) for key in weights), name


@needs_fsdp2
def test_sharded_training_equals_training_in_one_piece(results: Path) -> None:
    assert_no_error(results, with_fsdp2)
    for name, method in METHODS.items():
        sharded = torch.load(results / f"fsdp2 {name}.pt", weights_only=True)
        whole = train_with(tiny_net(), method, 6).state_dict()
        assert sharded.keys() == whole.keys()
        for key, value in whole.items():
            assert torch.allclose(sharded[key], value, atol=2e-5), (name, key)


@needs_fsdp2
def test_shards_of_different_lengths_and_scaled_biases(results: Path) -> None:
    """A layer norm in front of which the bias is scaled, and a batch norm whose statistics need the whole bias."""
    assert_no_error(results, with_odd_shards)
    sharded = torch.load(results / "odd.pt", weights_only=True)
    net = odd_net()
    train_odd(net)
    for key, value in net.state_dict().items():
        assert torch.allclose(sharded[key], value, atol=1e-5), key


@needs_fsdp2
def test_ranks_exchange_factors_and_biases_in_one_message_each(results: Path) -> None:
    """The statistics of norm layers are not sharded, so every rank needs the factors of all filters."""
    assert_no_error(results, with_counted_messages)
    assert {(results / f"messages {rank}").read_text() for rank in range(WORLD)} == {"2"}


def test_flat_shards_are_refused(results: Path) -> None:
    assert_no_error(results, with_fsdp1)


def test_deepspeeds_flat_pieces_are_refused_by_their_mark() -> None:
    net = tiny_net()
    net[0].weight.ds_id = 0
    with pytest.raises(AttachError, match=r"0\.weight: DeepSpeed ZeRO-3"):
        attach(SGD(net.parameters(), lr=0.1), net, METHODS["WRS"])
