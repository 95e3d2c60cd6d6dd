"""The images of one update are part of a protocol: what is refused, and what --split-batch changes."""

import pytest
from helpers.config_keys import CONFIGS
from helpers.config_keys import config as read
from mmengine.config import Config

from normreg_plugins.cli.preflight.total_batch import (
    Batch,
    Protocol,
    TotalBatchError,
    adopt_variant,
    batch_of,
    protocol_of,
    ranks_of,
    refuse_other_batch,
    share_of,
    split_batch,
)

pytestmark = pytest.mark.mm
LOSSES = {"loss_cls": 1.0, "loss_conf": 1.0, "loss_xy": 2.0, "loss_wh": 2.0}


def config(name, **options):
    cfg = read(name)
    cfg.merge_from_dict({key.replace("__", "."): value for key, value in options.items()})
    return cfg


def loss_weights(cfg):
    return {name: cfg.model.bbox_head[name].loss_weight for name in LOSSES}


@pytest.mark.parametrize(
    "path", sorted([*CONFIGS.glob("*.py"), *CONFIGS.glob("classification/*_wd_*.py")]), ids=lambda path: path.stem
)
def test_every_config_declares_its_batch_and_trains_as_it_is_on_one_gpu(path):
    cfg = read(str(path.relative_to(CONFIGS).with_suffix("")))
    stock = path.stem.endswith("_stock")
    assert (protocol_of(cfg) is None) == stock  # those are mmdet's and mmseg's own, with lines added
    refuse_other_batch(cfg, path.name, ranks=1)
    if not stock:
        with pytest.raises(TotalBatchError, match=r"(?s)is a paper.s protocol.*--split-batch "):
            refuse_other_batch(cfg, path.name, ranks=2)


@pytest.mark.parametrize(
    ("options", "run"),
    [
        ({"optim_wrapper__accumulative_counts": 8}, "1 GPU x 8 images each x 8 accumulated iterations = 64"),
        # the right total, but mmdet's sum over 4 images is half of that over 8
        ({"train_dataloader__batch_size": 4, "optim_wrapper__accumulative_counts": 2}, "2 accumulated iterations = 8"),
    ],
)
def test_another_batch_on_one_gpu_is_refused_too(options, run):
    with pytest.raises(TotalBatchError, match=run):
        refuse_other_batch(config("yolov3_wrs", **options), "yolov3_wrs.py", ranks=1)


def test_a_protocol_that_accumulates_says_so():
    options = {"optim_wrapper__accumulative_counts": 8, "auto_scale_lr__base_batch_size": 64}
    cfg = config("yolov3_wrs", **options)
    refuse_other_batch(cfg, "yolov3_wrs.py", ranks=1)
    split_batch(cfg, ranks=4)
    assert batch_of(cfg, 4) == Batch(ranks=4, per_rank=2, accumulated=8)
    assert loss_weights(cfg) == {name: 4 * weight for name, weight in LOSSES.items()}
    assert cfg.param_scheduler[0].end == 2000


def test_configs_of_users_are_left_alone():
    for name in ("mini/yolov3_wrs", "deeplabv3_wrs_stock"):
        refuse_other_batch(config(name), name, ranks=8)
    refuse_other_batch(config("yolov3_wrs", auto_scale_lr__written_for=0), "mine.py", ranks=8)
    with pytest.raises(TotalBatchError, match="written_for=IMAGES_PER_ITERATION"):
        split_batch(config("mini/yolov3_wrs"), ranks=2)


def test_a_batch_that_does_not_split_names_the_counts_that_do():
    with pytest.raises(TotalBatchError, match=r"10 images do not split over 8 GPUs.*do: 1, 2, 5, 10\."):
        split_batch(config("deeplabv3_wrs"), ranks=8)
    with pytest.raises(TotalBatchError, match=r"--split-batch is not possible here: 10 images"):
        refuse_other_batch(config("deeplabv3_wrs"), "deeplabv3_wrs.py", ranks=8)
    with pytest.raises(TotalBatchError, match=r"in 3 accumulated iterations do not split.*do: none"):
        share_of(Protocol(10, 10), Batch(2, 5, 3))


@pytest.mark.parametrize(("ranks", "share"), [(4, 4), (8, 2)])
def test_the_variant_of_16_images_is_named_on_4_and_8_gpus_and_keeps_the_epochs(ranks, share):
    cfg, written = config("deeplabv3_aws"), config("deeplabv3_aws")
    with pytest.raises(TotalBatchError, match=rf"--total-batch 16 is the variant .*: {share} images per GPU"):
        refuse_other_batch(cfg, "deeplabv3_aws.py", ranks)
    adopt_variant(cfg, 16)
    split_batch(cfg, ranks)
    assert batch_of(cfg, ranks) == Batch(ranks, share, accumulated=1)
    root = pytest.approx(1.6**0.5, rel=1e-3)  # Adam's steps
    for name in ("lr", "weight_decay"):
        assert cfg.optim_wrapper.optimizer[name] / written.optim_wrapper.optimizer[name] == root
    assert cfg.param_scheduler[0].eta_min / written.param_scheduler[0].eta_min == root
    assert cfg.optim_wrapper.regularizer.alpha / written.optim_wrapper.regularizer.alpha == root
    epochs = pytest.approx(52 * 10582, rel=1e-4)
    assert 16 * cfg.train_cfg.max_iters == 16 * cfg.param_scheduler[0].end == epochs
    assert 16 * cfg.train_cfg.val_interval == pytest.approx(10 * written.train_cfg.val_interval, rel=1e-2)
    saved, old = (each.default_hooks.checkpoint.interval for each in (cfg, written))
    assert 16 * saved == pytest.approx(10 * old, rel=1e-2)


def test_a_variant_is_named_only_where_it_splits_and_must_be_declared():
    with pytest.raises(TotalBatchError, match=r"(?s)^(?!.*--total-batch)"):
        refuse_other_batch(config("deeplabv3_wrs"), "deeplabv3_wrs.py", ranks=3)
    for name, declared in (("deeplabv3_wrs", "declares 16"), ("csrnet_wrs", "declares no variant")):
        with pytest.raises(TotalBatchError, match=declared):
            adopt_variant(config(name), 20)


def test_split_keeps_rates_and_lengths_and_multiplies_summed_losses():
    ranks = 4
    cfg, written = config("yolov3_wrs"), config("yolov3_wrs")
    split_batch(cfg, ranks)
    assert batch_of(cfg, ranks).total == 8
    assert cfg.sync_bn == "torch"
    assert loss_weights(cfg) == {name: ranks * weight for name, weight in LOSSES.items()}
    for same in ("optim_wrapper", "param_scheduler", "train_cfg"):
        assert cfg[same] == written[same]
    refuse_other_batch(Config(cfg.to_dict()), "the config that the run saved", ranks)


def test_split_of_a_loop_by_iterations_keeps_its_updates():
    cfg = config("deeplabv3_wrs")
    split_batch(cfg, ranks=5)
    assert (cfg.train_dataloader.batch_size, cfg.train_cfg.max_iters) == (2, 55026)
    assert cfg.param_scheduler[0].end == 55026
    cfg = config("deeplabv3_wrs", optim_wrapper__accumulative_counts=2)  # mm counts iterations, two for an update
    split_batch(cfg, ranks=1)
    assert (cfg.train_dataloader.batch_size, cfg.train_cfg.max_iters) == (5, 2 * 55026)
    assert (cfg.param_scheduler[0].end, cfg.train_cfg.val_interval) == (2 * 55026, 2 * 2116)
    assert cfg.default_hooks.checkpoint.interval == 4000


def test_the_launcher_says_how_many_ranks_there_are():
    environ = {"WORLD_SIZE": "16", "SLURM_NTASKS": "4", "OMPI_COMM_WORLD_SIZE": "2"}
    for launcher, ranks in {"none": 1, "pytorch": 16, "slurm": 4, "mpi": 2}.items():
        assert ranks_of(launcher, environ) == ranks
