"""configs/small: small nets that build, and train on drawn pictures in the layout of the real sets."""

import pytest
import torch
from helpers import config_keys
from helpers import layouts as drawn
from helpers.layer_cases import fill_norms_

from normreg_plugins.cli.main import main
from normreg_plugins.cli.preflight.check import PreflightError, check

pytestmark = pytest.mark.mm
CONFIGS = config_keys.CONFIGS / "small"
SETS = {"yolov3": "bccd", "deeplabv3": "camvid", "csrnet": "mbm"}
PREPARED = {"bccd": drawn.bccd, "camvid": drawn.camvid, "mbm": drawn.mbm}
OPTIONS = {"mbm": ("--sides", 72, 72, "--val", 2, "--workers", 1)}
ONE_UPDATE = {
    "bccd": {"train_cfg.max_epochs": 1, "train_cfg.val_interval": 1, "train_dataloader.dataset.filter_cfg": None},
    "camvid": {"train_cfg.max_iters": 1, "train_cfg.val_interval": 1},
    "mbm": {"train_cfg.max_epochs": 1, "train_dataloader.dataset.times": 1},
}
SCORES = {"bccd": "coco/bbox_mAP_50", "camvid": "mIoU", "mbm": "count/MAE"}


def config(net, method):
    return config_keys.config(f"small/{net}_{method}_{SETS[net]}")


@pytest.mark.parametrize("net", SETS)
def test_the_net_is_small_and_begins_at_random_and_a_missing_set_is_named(net, tmp_path, monkeypatch):
    from mmengine.registry import MODELS, init_default_scope

    cfg = config(net, "wd")
    init_default_scope(cfg.default_scope)
    with torch.device("meta"):
        model = MODELS.build(cfg.model)
    assert sum(each.numel() for each in model.parameters()) < 1_300_000
    assert "Pretrained" not in str(cfg.model)
    assert cfg.model.get("pretrained") is None
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PreflightError, match=f"data/{SETS[net]}.*\n.*normreg prepare-{SETS[net]}"):
        check(cfg, ("train", "val", "test"))


def prepared(tmp_path, name):
    arguments = (PREPARED[name](tmp_path / "raw"), tmp_path / "data", "--any-counts", *OPTIONS.get(name, ()))
    assert main([f"prepare-{name}", *map(str, arguments)]) == 0
    return tmp_path / "data"


def overrides(name, data):
    """The set in another folder, and one update."""
    inner = "train_dataloader.dataset" + (".dataset" if name == "mbm" else "")
    roots = (inner, "val_dataloader.dataset", "test_dataloader.dataset")
    settings = {f"{root}.data_root": str(data) for root in roots}
    if name == "bccd":
        for split in ("val", "test"):
            for index in range(2):
                settings[f"{split}_evaluator.{index}.ann_file"] = f"{data}/annotations/{split}.json"
        settings |= {"model.test_cfg.score_thr": 0.0, "model.test_cfg.conf_thr": 0.0}  # boxes of an untrained net
    if name == "camvid":  # drawn pictures are PNG
        settings |= {f"{root}.img_suffix": ".png" for root in roots}
    return (
        settings | ONE_UPDATE[name] | {"default_hooks.checkpoint.save_best": None, "default_hooks.logger.interval": 1}
    )


@pytest.mark.parametrize("method", ["wrs", "pgd"])
def test_the_full_yolov3_on_bccd_takes_any_method_by_its_first_line(method, tmp_path):
    from mmengine.config import Config

    text = (CONFIGS / "yolov3_d53_wd_bccd.py").read_text()
    base = CONFIGS.parent / f"yolov3_{method}.py"
    (tmp_path / "mine.py").write_text(text.replace('_base_ = "../yolov3_wd.py"', f'_base_ = "{base}"'))
    mine, coco = Config.fromfile(tmp_path / "mine.py"), Config.fromfile(base)
    assert mine.optim_wrapper == coco.optim_wrapper
    assert mine.train_dataloader.dataset.pipeline == coco.train_dataloader.dataset.pipeline
    assert (mine.model.bbox_head.num_classes, mine.test_dataloader.dataset.data_root) == (3, "data/bccd/")


@pytest.mark.parametrize(("net", "method"), [("yolov3", "pgd"), ("deeplabv3", "wrs"), ("csrnet", "aws")])
def test_it_trains_validates_and_tests(tmp_path, net, method):
    from normreg_plugins.cli.mm_runs import build_runner, check_or_refuse, read_config

    name = SETS[net]
    options = overrides(name, prepared(tmp_path, name)) | {"visualizer.name": tmp_path.name}
    if method == "wrs":
        options["optim_wrapper.regularizer.interval"] = 1
    path = CONFIGS / f"{net}_{method}_{name}.py"
    cfg = read_config(path, options, tmp_path / "work")
    check_or_refuse(cfg, str(path), ("train", "val", "test"))
    runner = build_runner(cfg)
    before = {key: value.clone() for key, value in runner.model.state_dict().items() if key.endswith("conv1.weight")}
    runner.train()
    assert all((runner.model.state_dict()[key] != value).any() for key, value in before.items())
    assert SCORES[name] in runner.test()
    if method == "wrs":
        norms = runner.model.backbone.layer1[0].conv1.weight.flatten(1).norm(dim=1)
        assert torch.allclose(norms, torch.ones_like(norms), atol=1e-5)


FINE_TUNED = {
    "raccoon": "prepare-bccd",
    "bccd_finetune": "prepare-bccd",
    "camvid_finetune": "prepare-camvid",
    "coco_voc20": "choose.txt",
    "shanghaitech": "prepare-shanghaitech",
}
"""Comparisons, and what their config names to prepare the data with."""


@pytest.mark.parametrize("name", FINE_TUNED)
def test_fine_tuning_begins_with_weights_and_gives_each_method_its_layers(name, tmp_path):
    from mmengine.registry import MODELS, init_default_scope

    from normreg_plugins.cli.mm_runs import read_config
    from normreg_plugins.layers import ScaleBias, WSConv2d
    from research.compare.cells import Cell, settings_of
    from research.compare.description import read_comparison
    from research.compare.train_cell import config_of

    comparison = read_comparison(name)
    assert FINE_TUNED[name] in config_of(comparison, "wd").read_text()
    for method in ("wd", "aws", "pgd"):
        cfg = read_config(config_of(comparison, method), settings_of(comparison, Cell(method, "", 1e-3, 0)), tmp_path)
        init_default_scope(cfg.default_scope)
        with torch.device("meta"):
            model = MODELS.build(cfg.model)
        init = cfg.model.get("init_cfg") or cfg.model.backbone.init_cfg
        assert init.checkpoint.startswith("data/weights/")
        assert init.type == ("Pretrained" if method == "wd" and name != "shanghaitech" else "NormRegPretrained")
        standardized = [isinstance(each, WSConv2d) for each in model.modules() if isinstance(each, torch.nn.Conv2d)]
        assert sum(standardized) >= (len(standardized) - 4 if method == "aws" else 0)
        assert any(standardized) == (method == "aws")
        norms = [each for each in model.modules() if isinstance(each, torch.nn.modules.batchnorm._BatchNorm)]
        assert (not norms) == any(isinstance(each, ScaleBias) for each in model.modules()) == (method == "pgd")


@pytest.mark.parametrize("host", ["mmdet", "mmseg"])
def test_torchvisions_mobilenet_becomes_that_of_the_host(host, tmp_path):
    from mmengine.registry import MODELS, DefaultScope

    from research.prepare_mobilenetv2 import main

    published = fill_norms_(pytest.importorskip("torchvision.models").mobilenet_v2(weights=None)).eval()
    torch.save(published.state_dict(), tmp_path / "raw.pth")
    main([str(tmp_path / "raw.pth"), host, str(tmp_path / "out.pth")])
    init = {"type": "Pretrained", "checkpoint": str(tmp_path / "out.pth")}
    with DefaultScope.overwrite_default_scope(host):
        backbone = MODELS.build({"type": "MobileNetV2", "out_indices": (5, 6), "init_cfg": init})
        backbone.init_weights()
    backbone.eval()  # mm's returns None
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(backbone(images)[-1], published.features[:18](images))
