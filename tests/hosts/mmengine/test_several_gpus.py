"""mmengine on two processes: ranks stay equal, and what cuts through filters is refused."""

import pytest
import torch
from helpers.mm_ranks import refuse_fsdp1, train_with_ddp, train_with_noise
from helpers.processes import run

pytestmark = pytest.mark.mm


@pytest.mark.slow
def test_ranks_are_equal_to_the_bit(tmp_path):
    run([train_with_ddp], tmp_path)
    ranks = [torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in (0, 1)]
    checkpoint = torch.load(tmp_path / "epoch_17.pth", weights_only=False)
    assert checkpoint["optimizer"]["param_groups"][0]["normreg_plugins"] == {"updates": 51}
    for name, value in ranks[0]["weights"].items():
        assert torch.equal(value, ranks[1]["weights"][name]), name
    for name in ("conv1", "depthwise", "conv3"):
        lengths = ranks[0]["weights"][f"{name}.weight"].flatten(1).norm(dim=1)
        torch.testing.assert_close(lengths, torch.ones(8))
    assert not torch.equal(ranks[0]["all"]["bn1.running_mean"], ranks[1]["all"]["bn1.running_mean"])  # other batches


@pytest.mark.slow
def test_each_rank_has_noise_of_its_own_also_after_a_resume(tmp_path):
    """mmengine gives all ranks the same seed."""
    run([train_with_noise], tmp_path)
    one, other = (torch.load(tmp_path / f"noise{rank}.pt", weights_only=True) for rank in (0, 1))
    assert one["updates"] == 9
    assert len(one["noise"]) == 9  # six updates, and three after the resume
    for mine, theirs in zip(one["noise"], other["noise"], strict=True):
        assert 0.2 < mine.std() < 0.6
        assert (mine - theirs).abs().median() > 0.1
    for name, value in one["weights"].items():
        assert torch.equal(value, other["weights"][name]), name


@pytest.mark.parametrize("way", ["constructor", "hook"])
def test_deepspeed_is_refused_with_what_to_do(tmp_path, way):
    """ZeRO-3 marks each parameter it has cut."""
    from helpers.mm_toy import config
    from mmengine.runner import Runner

    from normreg_plugins.core.errors import AttachError

    runner = Runner.from_cfg(config(tmp_path, {"type": "WRS"}, way))
    runner.model.conv3.weight.ds_id = 7
    with pytest.raises(AttachError, match=r"conv3\.weight: DeepSpeed ZeRO-3 .* Use ZeRO stage 0, FSDP2"):
        runner.train()


@pytest.mark.slow
def test_fsdp1_is_refused_with_what_to_do(tmp_path):
    run([refuse_fsdp1], tmp_path)
    for rank in (0, 1):
        said = (tmp_path / f"rank{rank}.txt").read_text()
        assert "FSDP1 keeps weights in flat pieces" in said
        assert "fully_shard" in said
