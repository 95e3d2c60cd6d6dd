"""research/count_memory.py: the rows of its table, and its count beside a real forward pass."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from research import count_memory

pytestmark = pytest.mark.mm
CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def test_it_splits_where_the_batch_splits_and_grows_where_not():
    for gpus, flag, images, updates in (
        (1, "", 10, 55026),
        (2, "--split-batch", 5, 55026),
        (4, "--grow-batch", 10, 13756),
    ):
        cfg, chosen = count_memory.settled(CONFIGS / "deeplabv3_wrs.py", gpus)
        assert (chosen, cfg.train_dataloader.batch_size, count_memory.updates(cfg, gpus)) == (flag, images, updates)


@pytest.mark.parametrize(
    ("name", "gpus", "size", "updates"),
    [
        ("yolov3_wrs", 8, (320, 640), 1_465_900),
        ("yolov3_wrs_coco2014", 1, (320, 640), 1_465_800),
        ("csrnet_wrs", 4, (512, 512), 10_200),
        ("csrnet_wrs_shanghaitech", 1, (512, 512), None),
    ],
)
def test_it_reads_sizes_and_updates_from_the_config(name, gpus, size, updates):
    cfg, _ = count_memory.settled(CONFIGS / f"{name}.py", gpus)
    assert count_memory.image_size(cfg) == size
    assert count_memory.updates(cfg, gpus) == updates


def test_the_table_has_a_row_for_each_number_of_gpus(capsys):
    count_memory.main([str(CONFIGS / "csrnet_wrs.py"), "--gpus", "1", "2"])
    rows = [line.split("│")[2:-1] for line in capsys.readouterr().out.splitlines() if "csrnet_wrs.py" in line]
    assert [[cell.strip() for cell in row] for row in rows] == [
        ["1", "", "32", "32", "10,200", "21.4", "11.7"],
        ["2", "--split-batch", "16", "32", "10,200", "10.8", "6.0"],
    ]


def test_the_count_is_what_a_real_training_step_keeps():
    from helpers.split_updates import SIDE, batch_of, small_config
    from mmengine.registry import MODELS, init_default_scope

    cfg = Config(small_config("deeplabv3", "wd").to_dict())
    init_default_scope("mmseg")
    model = MODELS.build(cfg.model).train()
    images, samples = batch_of("deeplabv3", 0)
    kept = {}
    weights = {weight.data_ptr() for weight in model.parameters()}

    def keep(tensor):
        if tensor.data_ptr() not in weights:
            kept[tensor.data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model(images.float(), samples, mode="loss")
    real = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    counted = count_memory.step_memory(count_memory.Scored(model), len(images), SIDE).activations
    assert counted == pytest.approx(real, rel=0.1)  # mmseg keeps the labels twice
