"""What a method costs a training step, measured on the nets of the mini configs."""

import pytest

pytestmark = [pytest.mark.mm, pytest.mark.slow]


@pytest.fixture
def small(run_tool, tmp_path, monkeypatch):
    """The mini CSRNet under WRS, on three drawn crowds."""
    made = run_tool("data/make_mini_data.py", "crowd", "--train", 8, "--val", 2, "--out", tmp_path / "raw")
    assert made.returncode == 0, made.stderr
    prepared = run_tool(
        "data/prepare_qnrf.py", "--any-counts", tmp_path / "raw", tmp_path / "data", "--sides", 96, 128, "--val", 2
    )
    assert prepared.returncode == 0, prepared.stderr
    monkeypatch.chdir(tmp_path)

    def config(method):
        from research.compare.description import read_comparison
        from research.compare.train_cell import config_of

        path = tmp_path / f"{method}.py"
        path.write_text(
            f"_base_ = {str(config_of(read_comparison('crowd'), method))!r}\n"
            f"train_dataloader = dict(batch_size=2, dataset=dict(data_root={str(tmp_path / 'data')!r}))\n"
        )
        return path

    return config


def test_a_step_is_an_update_under_the_method(small):
    import torch

    from research import benchmark_methods as tool

    step, batch, interval = tool.ready_step(small("wrs"), "crowd")
    assert interval == 1
    assert len(batch["inputs"]) == 2
    _, same_batch, _ = tool.ready_step(small("wd"), "crowd", batch)
    assert same_batch is batch
    (model,) = (cell.cell_contents for cell in step.__closure__ if isinstance(cell.cell_contents, torch.nn.Module))
    before = model.backbone.output.weight.clone()
    step()
    assert not torch.equal(model.backbone.output.weight, before)
    first = next(m for m in model.modules() if isinstance(m, torch.nn.Conv2d)).weight
    torch.testing.assert_close(first.flatten(1).norm(dim=1), torch.ones(len(first)))


def test_memory_holds_weights_gradients_and_optimizer(small):
    """CSRNet has 16.3 million weights, and Adam keeps two numbers for each."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    from research import benchmark_methods as tool

    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
        peak = alone.submit(tool.peak_memory, small("wd"), "crowd", 1).result()
    assert 4 * 4 * 16.2e6 < peak < 4e9
