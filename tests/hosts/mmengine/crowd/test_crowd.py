"""Data sets, transforms, model, metric and hooks in mmengine, and the chain of them in its Runner."""

from __future__ import annotations

import json
import random
import shutil

import numpy as np
import pytest
import torch

pytest.importorskip("mmengine")
pytest.importorskip("mmcv")

from helpers.mini_crowd import ROOT, make_prepared, mini_config
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import DATASETS, METRICS, MODELS, VISUALIZERS
from mmengine.runner import Runner

import normreg_plugins
from normreg_plugins.crowd import CSRNet, step_memory
from normreg_plugins.crowd.data import MEAN_COLOUR, read_rgb
from normreg_plugins.evaluation import load_counts, load_map
from normreg_plugins.hosts.mmengine.crowd import CrowdCounter, CrowdRandomCrop, CrowdSample, build_csrnet

pytestmark = pytest.mark.mm
PREPROCESSOR = {"type": "ImgDataPreprocessor", "mean": MEAN_COLOUR, "std": (58.0, 57.0, 57.0)}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return make_prepared(tmp_path_factory.mktemp("crowd"))


@pytest.fixture(scope="module")
def counter():
    """A counter that counts something: an output far from zero."""
    torch.manual_seed(0)
    model = MODELS.build(
        {
            "type": "CrowdCounter",
            "backbone": {"type": "CSRNet", "norm_cfg": {"type": "BN"}},
            "loss": {"type": "BayesianLoss"},
            "data_preprocessor": PREPROCESSOR,
        }
    )
    torch.nn.init.normal_(model.backbone.output.weight, std=1.0)
    return model.eval()


def sample_of(height, width, points=((3.0, 4.0),), **meta):
    sample = CrowdSample(metainfo={"img_shape": (height, width), "shorter_side": 64, **meta})
    sample.points = torch.tensor(points).reshape(-1, 2)
    sample.targets = torch.ones(len(sample.points))
    return sample


# ---- data sets


def test_a_data_set_gives_whole_pictures_and_crops(prepared):
    pipeline = [{"type": "CrowdLoad"}, {"type": "CrowdPack"}]
    build = {"type": "UCFQNRF", "data_root": str(prepared), "ann_file": "test.json", "pipeline": pipeline}
    dataset = DATASETS.build(build)
    assert len(dataset) == 2
    assert dataset.metainfo["dataset"] == "UCF-QNRF"
    item, record = dataset[1], json.loads((prepared / "test.json").read_text())["images"][1]
    sample = item["data_samples"]
    assert item["inputs"].shape == (3, record["height"], record["width"])
    assert item["inputs"].dtype == torch.uint8
    assert (sample.name, sample.count) == (record["name"], record["count"])
    assert len(sample.points) == len(sample.targets) == record["count"]
    assert sample.shorter_side == 64

    pipeline.insert(1, {"type": "CrowdRandomCrop", "size": 40})
    dataset = DATASETS.build({**build, "pipeline": pipeline})
    assert dataset[0]["inputs"].shape == (3, 40, 40)


def test_half_prepared_and_lost_files_are_named(prepared, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(prepared, copy)
    build = {"type": "UCFQNRF", "data_root": str(copy), "ann_file": "train.json", "pipeline": []}
    (copy / "train" / "img_0002.npy").unlink()
    with pytest.raises(FileNotFoundError, match=r"1 files that are missing, e\.g\. .*img_0002\.npy"):
        DATASETS.build(build)
    (copy / "train.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"did not finish; run python tools/prepare_qnrf\.py"):
        DATASETS.build(build)
    shutil.rmtree(copy)
    with pytest.raises(FileNotFoundError, match=r"missing; run python tools/prepare_shanghaitech\.py"):
        DATASETS.build({**build, "type": "ShanghaiTech"})
    copy.mkdir()
    (copy / "train.json").write_text('{"images": [], "left_out": []}')
    with pytest.raises(ValueError, match="no images"):
        DATASETS.build(build)


# ---- transforms


def grid_of_people(width, height, step=10):
    y, x = np.mgrid[0:height:step, 0:width:step].reshape(2, -1) + 0.5
    distances = np.full_like(x, 8.0)
    return np.stack([x, y, distances], axis=1).astype(np.float32)


def results_of(width, height):
    """A picture in which each person's pixel says who it is."""
    image = np.zeros((height, width, 3), dtype=np.uint8)
    people = grid_of_people(width, height)
    for number, (x, y, _) in enumerate(people):
        image[int(y), int(x)] = number // 256, number % 256, 255
    return {"img": image, "people": people, "targets": np.ones(len(people), dtype=np.float32)}


@pytest.mark.parametrize("size", [(90, 70), (30, 70)])
def test_crop_and_flip_keep_people_on_their_pixels(size):
    pipeline = Compose([{"type": "CrowdRandomCrop", "size": 40}, {"type": "CrowdFlip", "prob": 0.5}])
    random.seed(0)
    for _ in range(20):
        out = pipeline(results_of(*size))
        assert out["img"].shape == (40, 40, 3)
        inside = (out["people"][:, :2] >= 0).all(1) & (out["people"][:, :2] < 40).all(1)
        for x, y, _ in out["people"][inside]:
            assert out["img"][int(y), int(x), 2] == 255
        assert (out["img"][..., 2] == 255).sum() == inside.sum()
        assert (out["targets"] >= 0.3).all()
        assert (out["targets"] <= 1).all()
        whole = ((out["people"][:, :2] > 4) & (out["people"][:, :2] < min(*size, 40) - 4)).all(1)
        assert (out["targets"][whole] == 1).all()
    people = CrowdRandomCrop(size=40, partial=False, least_visible=0.5)(results_of(*size))
    assert (people["targets"] == 1).all()


def test_a_padded_crop_shows_the_picture_and_the_mean_colour():
    out = CrowdRandomCrop(size=64)(results_of(23, 70))
    assert (out["img"][:, 23:] == MEAN_COLOUR).all()
    edge = out["people"][:, 0] == 20.5  # a head of 8 px that the picture's own edge cuts
    assert edge.any()
    assert (out["targets"][edge] < 0.9).all()


def test_resize_moves_people_and_head_sizes():
    out = Compose([{"type": "CrowdResize", "shorter_side": (140, 200)}])(results_of(90, 70))
    assert out["img"].shape == (140, 180, 3)
    assert out["shorter_side"] == 140
    np.testing.assert_allclose(out["people"], 2 * grid_of_people(90, 70), rtol=1e-6)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"type": "CrowdRandomCrop", "size": 4}, "8 pixels"),
        ({"type": "CrowdRandomCrop", "head": (9, 4)}, "9, 4"),
        ({"type": "CrowdFlip", "prob": 2}, "from 0 to 1"),
    ],
)
def test_bad_settings_are_refused(config, message):
    with pytest.raises(ValueError, match=message):
        Compose([config])


# ---- model


def test_csrnet_from_configs():
    model = build_csrnet(norm_cfg={"type": "GN", "num_groups": 4}, output="relu")
    assert sum(isinstance(m, torch.nn.GroupNorm) for m in model.modules()) == 16
    plain = MODELS.build({"type": "CSRNet"})
    assert isinstance(plain, CSRNet)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in plain.modules())


def test_prediction_does_not_depend_on_the_batch(counter):
    """Pictures of other sizes, and what pads the batch, change no count."""
    images = [torch.randint(0, 256, (3, *size), dtype=torch.uint8) for size in ((41, 70), (64, 33))]
    samples = [sample_of(*image.shape[1:], name="x", count=1) for image in images]
    alone = [
        counter.val_step({"inputs": [image], "data_samples": [sample.clone()]})[0]
        for image, sample in zip(images, samples, strict=True)
    ]
    together = counter.val_step({"inputs": images, "data_samples": samples})
    for one, other in zip(alone, together, strict=True):
        torch.testing.assert_close(one.density, other.density)
        assert one.density.shape == tuple(-(-side // 8) for side in one.img_shape)
        assert one.predicted_count == pytest.approx(one.density.double().sum().item())
        assert one.predicted_count > 0


def test_losses_pass_what_the_loss_needs(counter):
    inputs = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    samples = [sample_of(32, 32, [(3.0, 4.0), (20.0, 9.0)], name="a"), sample_of(32, 32, (), name="b")]
    samples[0].targets = torch.tensor([1.0, 0.5])
    data = counter.data_preprocessor({"inputs": list(inputs), "data_samples": samples}, True)
    losses = counter(**data, mode="loss")
    density = counter(data["inputs"])
    expected = counter.density_loss(density, [s.points for s in samples], [s.targets for s in samples], [64, 64])
    torch.testing.assert_close(losses["loss"], expected)
    counts = density.sum((1, 2, 3)) - torch.tensor([1.5, 0.0])
    torch.testing.assert_close(losses["mae"], counts.abs().mean())


def test_a_missing_weight_file_is_named_when_training_begins(tmp_path):
    config = {"type": "CSRNet", "norm_cfg": {"type": "BN"}}
    model = CrowdCounter(config, {"type": "DensityMapLoss"}, pretrained=str(tmp_path / "vgg.pth"))
    with pytest.raises(FileNotFoundError, match=r"vgg\.pth: no such weight file"):
        model.init_weights()


# ---- metric and pictures


def test_metric_names_both_errors_and_saves(tmp_path):
    metric = METRICS.build({"type": "CountMetric", "out_dir": str(tmp_path / "out")})
    for name, predicted, count in (("a", 12.0, 10), ("b", 5.0, 9)):
        density = torch.full((2, 3), predicted / 6)
        metric.process({}, [{"name": name, "predicted_count": predicted, "count": count, "density": density}])
    errors = metric.evaluate(size=2)
    assert errors == {"count/MAE": 3.0, "count/RMSE": pytest.approx(10**0.5)}
    assert load_counts(tmp_path / "out") == {"a": 12.0, "b": 5.0}
    np.testing.assert_allclose(load_map(tmp_path / "out", "b"), np.full((2, 3), 5 / 6), rtol=1e-6)
    with pytest.raises(FileNotFoundError, match=r"tools/test\.py"):
        load_counts(tmp_path)


def test_visualizer_draws_density_where_it_is(tmp_path):
    visualizer = VISUALIZERS.build({"type": "CrowdVisualizer", "name": "crowd-test"})
    image = np.full((60, 90, 3), 100, dtype=np.uint8)
    sample = sample_of(60, 90, name="a", count=7)
    sample.density = torch.zeros(8, 12)
    sample.density[2, 9] = 3.0
    sample.predicted_count = 3.0
    file = tmp_path / "new" / "drawn.png"
    visualizer.add_datasample("a", image, sample, out_file=str(file))
    drawn = read_rgb(file)
    body = drawn[-60:, :90].astype(int)
    changed = np.abs(body - 100).sum(2) > 30
    rows, columns = np.nonzero(changed)
    assert abs(rows.mean() - 20) < 4
    assert abs(columns.mean() - 76) < 4
    assert drawn.shape[0] > 60  # the title
    assert (drawn[:-60] < 100).any()


# ---- the chain


@pytest.mark.parametrize("name", ["csrnet_wd", "csrnet_wrs", "csrnet_wrs_ic", "csrnet_aws", "csrnet_pgd"])
def test_every_mini_config_trains_and_validates(name, prepared, tmp_path):
    runner = Runner.from_cfg(mini_config(name, prepared, tmp_path / name))
    before = runner.model.backbone.output.weight.clone()
    runner.train()
    assert runner.iter == 2
    assert not runner.model.backbone.output.weight.equal(before)
    assert runner.message_hub.get_scalar("val/count/MAE").current() > 0
    log = next((tmp_path / name).rglob("*.log")).read_text()
    memory = step_memory(runner.model.backbone, batch=2, side=32)
    assert str(memory) in log
    assert "accumulative_counts" in log
    assert list((tmp_path / name).rglob("vis_image/val_img_0001*.png"))


def test_test_time_predictions_are_saved(prepared, tmp_path):
    cfg = mini_config("csrnet_wd", prepared, tmp_path)
    cfg.test_evaluator.out_dir = str(tmp_path / "predictions")
    errors = Runner.from_cfg(cfg).test()
    counts = load_counts(tmp_path / "predictions")
    assert set(counts) == {"img_0001", "img_0002"}
    for name, number in counts.items():
        density = load_map(tmp_path / "predictions", name)
        assert density.sum() == pytest.approx(number, rel=1e-5)
    assert set(errors) == {"count/MAE", "count/RMSE"}


def test_exactly_the_sixteen_convolutions_are_targets():
    """By structure, and by the numeric proof on a training loss of the whole model."""
    model = MODELS.build(Config.fromfile(ROOT / "configs" / "csrnet_wrs.py").model)
    names = {f"backbone.{m}.conv.weight" for m in _blocks(model.backbone)}
    assert len(names) == 16
    images = torch.randn(2, 3, 32, 32)
    samples = [sample_of(32, 32, name="a"), sample_of(32, 32, name="b")]

    def forward(counter):
        return counter(images, samples, mode="loss")

    for verdicts in (
        normreg_plugins.find_scale_invariant(model, forward),
        normreg_plugins.prove_scale_invariant(model, forward),
    ):
        kinds = {verdict.name: str(verdict.kind) for verdict in verdicts}
        assert {name for name, kind in kinds.items() if kind == "invariant"} == names
        assert kinds["backbone.output.weight"] == "free"
        assert len(kinds) == 17


def _blocks(backbone):
    names = [name for name, module in backbone.named_modules() if isinstance(module, torch.nn.Conv2d)]
    return [name.removesuffix(".conv") for name in names if name != "output"]
