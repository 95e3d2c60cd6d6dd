"""Every table and figure of the papers: its description resolves at both sizes, and its small size trains."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.image import imread
from torch import nn

from normreg_plugins.monitor.files import read_run
from research.cifar import fast_auto_augment as policies
from research.cifar.training import NAMED, training_of
from research.compare.cells import Cell, save_result, settings_of
from research.compare.description import ComparisonError, described, read_comparison
from research.compare.train_cell import config_of, train_cell
from research.tables import curves
from research.tables.settings import PUBLISHED, WRS, pgd
from research.tables.wrs import weights

ROOT = Path(__file__).resolve().parents[2]
PAPERS = {"wrs": 13, "l2": 5, "aws": 9, "pgd": 8}
"""How many tables and figures each paper has."""
TABLES = [name for name in described() if name.split("_")[0] in PAPERS]
SUB_POLICIES = [[["ShearX", 0.5, 0.9], ["Color", 0.2, 0.1]], [["Posterize", 1.0, 0.5], ["Cutout", 0.3, 0.7]]]

pytestmark = pytest.mark.usefixtures("one_thread")


def settings_of_all(comparison):
    """Of each column and method, at its first rate."""
    for column, method in comparison.groups:
        rate = next(iter(comparison.rates_for(method)), None)
        yield Cell(method, column, rate, 0), settings_of(comparison, Cell(method, column, rate, 0))


@pytest.fixture
def published_policies(tmp_path, monkeypatch):
    (tmp_path / "policies.json").write_text(json.dumps(SUB_POLICIES))
    monkeypatch.setattr(policies, "FILE", tmp_path / "policies.json")


@pytest.mark.mmpretrain
@pytest.mark.usefixtures("published_policies")
@pytest.mark.parametrize("name", TABLES)
def test_every_cell_resolves_at_the_papers_size(name):
    """The config exists, and an option changes what the baseline has or adds what mm knows."""
    from research.cifar.in_mm import config_of as baseline_of
    from research.cifar.in_mm import options_of

    comparison = read_comparison(name)
    for cell, settings in settings_of_all(comparison):
        if comparison.kind == "mm":
            assert config_of(comparison, cell.method, cell.column).is_file()
        elif comparison.kind == "cifar":
            assert training_of(settings), cell
        else:
            assert baseline_of(settings).is_file(), cell
            assert options_of(settings), cell


@pytest.mark.parametrize("name", TABLES)
def test_the_small_size_resolves_and_one_cell_makes_two_updates(name, cifar, tmp_path):
    comparison = read_comparison(name, small=True)
    assert comparison.name == f"{name}_small"
    if comparison.kind == "mm":  # its cells are trained in test_compare.py
        assert all(config_of(comparison, c.method, c.column).is_file() for c, _ in settings_of_all(comparison))
        return
    assert all(training_of(settings) for _, settings in settings_of_all(comparison))
    *_, (cell, settings) = settings_of_all(comparison)
    few = {"pictures": 40, "batch": 20, "epochs": 1, "validated": 20, "tested": 20}
    where = {} if settings["data"] in NAMED else {"data": str(cifar)}
    columns = {cell.column: {**comparison.columns[cell.column], **few, **where}}
    found = train_cell(replace(comparison, columns=columns, every_rate={}), cell, tmp_path)
    assert 0 <= found.test["accuracy"] <= 100
    assert found.more["failed_at"] is None


def test_a_description_without_a_small_size_says_so():
    with pytest.raises(ComparisonError, match="has no small size"):
        read_comparison("bccd", small=True)


@pytest.mark.parametrize("paper", PAPERS)
def test_the_page_of_a_paper_names_all_its_tables_and_figures(paper):
    """And every command on it is one: each description is named, and none that does not exist."""
    page = (ROOT / "research" / "tables" / paper / "README.md").read_text()
    rows = re.findall(r"^\| ((?:Table|Fig\.) [^|]*?) \|", page, re.MULTILINE)
    assert len(rows) == len(set(rows)) >= PAPERS[paper]
    named = set(re.findall(r"research\.compare (\w+)", page))
    assert named >= {name for name in TABLES if name.startswith(f"{paper}_")}
    assert named <= set(described())
    for path in re.findall(r"`((?:tests|configs|research)/[\w/.]+)(?:::(\w+))?", page):
        assert (ROOT / path[0]).exists(), path
        assert path[1] in (ROOT / path[0]).read_text() if path[1] else True, path


@pytest.mark.usefixtures("published_policies")
def test_fast_auto_augment_is_mmpretrains_transforms():
    """Levels as in the authors' augmentations.py: v = low + level (high - low), mirrored or not."""
    augment, cutout = policies.fast_auto_augment()
    (shear, color), (posterize, hole) = augment["policies"]
    assert (shear["type"], shear["prob"]) == ("Shear", 0.5)
    assert shear["magnitude"] == pytest.approx(abs(-0.3 + 0.9 * 0.6))
    assert color["magnitude"] == pytest.approx(0.1 + 0.1 * 1.8 - 1)
    assert (posterize["bits"], hole["shape"], cutout["shape"]) == (6, round(0.2 * 0.7 * 32), 16)
    with pytest.raises(FileNotFoundError, match="fa_reduced_cifar10"):
        policies.fast_auto_augment(Path("nowhere.json"))


@pytest.mark.mmpretrain
@pytest.mark.usefixtures("published_policies")
def test_fast_auto_augment_is_a_pipeline_that_mmpretrain_runs():
    from mmcv.transforms import Compose
    from mmengine.registry import init_default_scope

    from research.cifar.in_mm import options_of

    init_default_scope("mmpretrain")
    settings = {"net": "cnn9", "data": "cifar10", "augment": "fast_aa"}
    *steps, _ = options_of(settings)["train_dataloader.dataset.pipeline"]
    image = torch.randint(0, 256, (32, 32, 3), dtype=torch.uint8).numpy()
    found = [Compose(steps)({"img": image.copy(), "img_shape": (32, 32)})["img"] for _ in range(5)]
    assert all(each.shape == image.shape and (each != image).any() for each in found)


def built_in_mm(**settings):
    from mmengine.optim import build_optim_wrapper
    from mmengine.registry import MODELS, init_default_scope

    from normreg_plugins.cli.mm_runs import read_config
    from research.cifar.in_mm import config_of, options_of

    cfg = read_config(config_of(settings), options_of(settings))
    init_default_scope("mmpretrain")
    torch.manual_seed(0)
    model = MODELS.build(cfg.model).train()
    model.init_weights()
    return cfg, model, build_optim_wrapper(model, cfg.optim_wrapper).optimizer


CNN = {"net": "cnn9", "data": "cifar10"}
WIDE = {"net": "wrn28_10", "data": "cifar10", "backbone": {"depth": 10, "width": 2}}


@pytest.mark.mmpretrain
def test_adam_the_decay_of_filters_and_a_phase_in_mm():
    from normreg_plugins.core.training import handle_of

    words = {
        "optimizer": "adam",
        "rate": 1e-3,
        "weight_decay": 1e-4,
        "filter_decay": 1e-2,
        "convert": "ws",
        "guard": 0.0,
    }
    _, model, optimizer = built_in_mm(**CNN, **words, method={"type": "WD"})
    assert type(optimizer) is torch.optim.Adam
    decays = {id(p): (g["weight_decay"], g["lr"]) for g in optimizer.param_groups for p in g["params"]}
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            assert decays[id(module.weight)] == pytest.approx((1e-2, 1e-3)), name
            assert (type(module).__name__, module.eps) == ("WSConv2d", 0.0)
    assert decays[id(model.head.fc.weight)][0] == pytest.approx(1e-4)
    wrs = {"type": "WRS", "interval": 10, "output_layers": "classifier"}
    _, _, optimizer = built_in_mm(**CNN, method=wrs, phase=(0.0, 0.3))
    handle = handle_of(optimizer)
    assert (handle.method.begin, handle.method.end, handle.method.unit) == (0, 60, "epoch")
    assert len(handle.targets) == 10
    assert "head.fc.weight" in handle.targets


@pytest.mark.mmpretrain
@pytest.mark.parametrize("block", ["plain", "preactivated"])
def test_pgd_and_wrs_take_all_convolutions_of_both_wide_nets(block):
    from normreg_plugins.core.training import handle_of

    words = {**WIDE, "block": block} | (PUBLISHED if block != "plain" else {})
    cfg, model, optimizer = built_in_mm(**words, **pgd(), sigma=1.0, noise="linear")
    convolutions = sum(isinstance(m, nn.Conv2d) for m in model.modules())
    assert len(handle_of(optimizer).targets) == convolutions
    _, _, by_wrs = built_in_mm(**words, **WRS)
    assert len(handle_of(by_wrs).targets) == convolutions + 1  # Algorithm 1: the output layer too
    hooks = [hook["type"] for hook in cfg.custom_hooks]
    assert hooks == ["NormRegLinearNoiseHook", *(["NormRegZeroScaleHook"] if block == "plain" else [])]


@pytest.mark.mmpretrain
@pytest.mark.parametrize(("norm", "layer"), [("group", nn.GroupNorm), ("none", nn.Identity)])
def test_norm_layers_in_mm(norm, layer):
    _, model, _ = built_in_mm(**CNN, norm=norm, method={"type": "WD"})
    assert type(model.backbone.layers.bn1).__mro__[-len(layer.__mro__)] is layer
    assert not any(isinstance(module, nn.BatchNorm2d) for module in model.modules())


@pytest.fixture
def tiny_images(tmp_path, monkeypatch):
    """Eight pictures of two classes, as prepare-tinyimagenet leaves them."""
    from PIL import Image

    noise = np.random.default_rng(0)
    for split in ("train", "val"):
        folder = tmp_path / "data" / "tinyimagenet" / split
        folder.mkdir(parents=True)
        for number in range(8):
            pixels = noise.integers(100 * (number % 2), 156 + 100 * (number % 2), (64, 64, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.jpg")
        lines = [f"{number}.jpg {number % 2}" for number in range(8)]
        folder.with_suffix(".txt").write_text("\n".join(lines) + "\n")
    monkeypatch.chdir(tmp_path)


@pytest.mark.mmpretrain
@pytest.mark.slow
@pytest.mark.usefixtures("tiny_images")
def test_a_cell_is_trained_in_mmpretrain_and_a_stopped_one_goes_on():
    """BWN's matrix norms and filters that begin twice as large come from hooks; a checkpoint of each epoch stays."""
    comparison = replace(read_comparison("wrs_figure_6b"), columns={"": {"data": "tinyimagenet"}})
    small = {"backbone": {"base_channels": 8, "stem_channels": 8}, "head": {"in_channels": 64}}
    base = {**comparison.base, **small, "epochs": 1, "batch": 4, "checkpoints": 1, "initial_scale": 2.0, "rate": 1e-4}
    cell = Cell("BWN", "", None, 0)
    folder = Path(cell.folder)
    first = train_cell(replace(comparison, base=base), cell, folder)
    assert {"accuracy", "top5", "first_norm"} <= set(first.test)
    longer = replace(comparison, base={**base, "epochs": 2})
    again = train_cell(longer, cell, folder)
    assert "resumed epoch: 1" in "".join(path.read_text() for path in folder.glob("*/*.log"))
    saved = torch.load(folder / "epoch_2.pth", map_location="cpu", weights_only=False)["state_dict"]
    gains = [value for key, value in saved.items() if key.endswith("gain")]
    assert len(gains) == 20
    assert all(gain.numel() == 1 and gain != 1 for gain in gains)
    save_result(longer, Path(), cell, again)
    assert weights.main(["shapes", str(folder), "--images", "4", "--out", "shapes.png"]) == 0
    assert imread("shapes.png").std() > 0


def test_curves_are_drawn_from_cells_and_smoothed(cifar, tmp_path):
    assert curves.smoothed([1.0, 0.0, 0.0], 0.9) == pytest.approx([1.0, 0.9, 0.81])
    few = {"pictures": 40, "batch": 20, "epochs": 3, "validated": 20, "tested": 20, "data": str(cifar), "looks": 3}
    comparison = replace(read_comparison("wrs_figure_2", small=True), columns={"": few})
    for method in ("WD 0.005", "WRS tau 10"):
        train_cell(comparison, Cell(method, "", None, 0), tmp_path / method)
    folders = [str(tmp_path / method) for method in ("WD 0.005", "WRS tau 10")]
    run = read_run(tmp_path / "WD 0.005" / "norms.jsonl")
    assert [*curves.curves_of(run, "filter_norm", ["0.weight"])] == ["0.weight"]
    assert "10.weight" in run.layer_names
    for y in (["effective_gradient_norm", "--layers", "3.weight"], ["loss", "accuracy", "--smooth", "0.9"]):
        assert curves.main([*folders, "--out", str(tmp_path / "c.png"), "--y", *y]) == 0
        assert imread(tmp_path / "c.png").std() > 0


def test_norms_shapes_and_histograms_are_drawn_from_checkpoints(tmp_path):
    comparison = read_comparison("wrs_figure_3", small=True)
    few = {"data": "digits", "net": "cnn3", "pictures": 40, "batch": 20, "epochs": 2, "validated": 20, "tested": 20}
    comparison = replace(comparison, base={**comparison.base, **few, "augment": False, "checkpoints": 2})
    cell = Cell("WRS", "SGDM", None, 0)
    save_result(comparison, tmp_path, cell, train_cell(comparison, cell, tmp_path / cell.folder))
    for picture in weights.PICTURES:
        out = tmp_path / f"{picture}.png"
        args = [picture, str(tmp_path / cell.folder), "--layer", "2", "--images", "10", "--out", str(out)]
        assert weights.main(args) == 0
        assert imread(out).std() > 0
    _, images = weights.model_of(tmp_path / cell.folder, 10)
    assert images.shape == (10, 3, 8, 8)
    assert [*weights.checkpoints_of(tmp_path / cell.folder)] == [2, 4]
