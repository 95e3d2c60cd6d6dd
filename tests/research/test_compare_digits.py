"""The demo of weight decay against WRS, on the real digits."""

import pytest
import torch
from matplotlib.image import imread

from research import compare_digits as tool
from research.digits import digits
from research.results import mean_and_error


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_wrs_keeps_the_norms_at_one_and_weight_decay_moves_them() -> None:
    decay, wrs = (tool.train(setting, seed=0, epochs=5) for setting in (tool.Setting(5e-4), tool.Setting(5e-4, tau=1)))
    assert wrs.norms[0] == decay.norms[0] != 1
    assert wrs.norms[1:] == pytest.approx([1.0] * 5, abs=1e-5)
    assert all(abs(norm - 1) > 0.05 for norm in decay.norms)
    assert min(decay.accuracy, wrs.accuracy) > 80


def test_strong_weight_decay_collapses_and_no_tau_does() -> None:
    collapsed = tool.train(tool.Setting(0.5), seed=0, epochs=30)
    assert collapsed.accuracy < 20
    assert collapsed.norms[-1] < 1e-3
    for tau in (1, 30):
        assert tool.train(tool.Setting(tool.NORMS_DECAY, tau), seed=0, epochs=10).accuracy > 90


def test_the_same_seed_gives_the_same_run_and_another_another() -> None:
    one, again, other = (tool.train(tool.Setting(5e-4, tau=10), seed, epochs=1) for seed in (0, 0, 1))
    assert one == again
    assert one != other


def test_learned_and_tested_digits_are_different_ones() -> None:
    images, labels, test_images, test_labels = digits(seed=3)
    assert len(images) == len(labels) == 400
    assert len(test_images) == len(test_labels) == 1397
    assert torch.cdist(images.flatten(1), test_images.flatten(1)).min() > 0
    assert images.max() == 1


def test_one_value_has_no_spread() -> None:
    assert mean_and_error([97.96]) == "98.0"
    assert mean_and_error([97.0, 99.0]) == "98.0 ± 1.4"


@pytest.mark.parametrize(("mode", "name", "rows"), [([], "compare.png", 3), (["--sweep"], "sweep.png", 8)])
def test_it_prints_a_table_and_names_its_picture(capsys, tmp_path, mode, name, rows) -> None:
    arguments = [*mode, "--seeds", "1", "--epochs", "1", "--out", str(tmp_path / "made")]
    assert tool.main(arguments) == 0
    printed, progress = capsys.readouterr()
    assert sum("WD" in line or "WRS" in line for line in printed.splitlines()) == rows
    assert printed.splitlines()[-1] == f"picture: {tmp_path / 'made' / name}"
    assert "training" in progress
    picture = imread(tmp_path / "made" / name)
    assert picture.shape[0] > 300
    assert picture.std() > 0.05
    assert [path.name for path in (tmp_path / "made").iterdir()] == [name]
    tool.main(arguments)
    assert "picture (replaced)" in capsys.readouterr().out


def test_bad_counts_are_refused_in_one_line(run_tool) -> None:
    done = run_tool("research/compare_digits.py", "--epochs", 0)
    assert done.returncode == 2
    assert "--epochs 0: must be 1 or more" in done.stderr
    assert "Traceback" not in done.stderr
