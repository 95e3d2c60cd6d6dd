"""Ranks that share a protocol's batch make the updates that one rank makes with the whole batch."""

import pytest
import torch
from torch import multiprocessing

pytestmark = [pytest.mark.mm, pytest.mark.slow]
TASKS, METHODS = ("yolov3", "deeplabv3", "csrnet"), ("wd", "wrs", "aws", "pgd")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The weights of every task and method, after three updates by 1, 2 and 4 ranks and after 50 by 2."""
    from helpers import split_updates

    folder = tmp_path_factory.mktemp("ranks")
    multiprocessing.spawn(split_updates.one_process, args=(str(folder),), nprocs=max(split_updates.RANKS))

    def read(task, method, ranks, rank=0):
        return torch.load(folder / f"{task} {method} {ranks} {rank}.pt", weights_only=True)

    return read


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("task", TASKS)
def test_the_updates_are_those_of_one_rank_and_ranks_stay_equal_to_the_bit(trained, task, method):
    whole = trained(task, method, 1)
    for ranks in (2, 4):
        for name, weight in trained(task, method, ranks).items():
            torch.testing.assert_close(weight, whole[name], rtol=1e-9, atol=1e-12, msg=lambda m, n=name: f"{n}: {m}")
    early, last, other = (trained(task, method, *which) for which in ((2,), ("last",), ("last", 1)))
    assert any(not torch.equal(last[name], early[name]) for name in last)
    assert all(torch.equal(other[name], weight) for name, weight in last.items())
