"""The detection configs say what they claim: the paper's protocol, one model, one method each."""

from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.mm
CONFIGS = Path(__file__).resolve().parents[2] / "configs"
METHODS = {
    "wd": {"type": "WD"},
    "wrs": {"type": "WRS", "interval": 10, "decay_on": "norm_layers"},
    "wrs_ic": {"type": "WRS", "interval": 10, "per": "position", "decay_on": "norm_layers"},
    "aws": {"type": "AWS"},
    "pgd": {"type": "PGD"},
    "adamp": {"type": "WD"},
}
IMAGES = 8  # on a GPU: mmdet's loss is their sum


def load(name):
    config = pytest.importorskip("mmengine.config").Config
    return config.fromfile(CONFIGS / f"{name}.py")


def build(model, device="meta"):
    """The model, by default without memory for its 61 million weights."""
    from mmdet.registry import MODELS
    from mmengine.registry import init_default_scope

    init_default_scope("mmdet")
    with torch.device(device):
        return MODELS.build(model)


def method_of(cfg):
    return {k: v for k, v in cfg.optim_wrapper.regularizer.items() if k != "alpha"}


@pytest.mark.parametrize("method", METHODS)
def test_the_protocol_is_the_papers(method):
    cfg = load(f"yolov3_{method}")
    assert cfg.train_cfg.max_epochs == 100
    warmup, cosine = cfg.param_scheduler
    assert (warmup.type, cosine.type) == ("LinearLR", "CosineAnnealingLR")
    assert cosine.T_max == cosine.end == 100
    assert cfg.train_dataloader.batch_size == IMAGES
    assert cfg.input_scale == (640, 320)
    assert cfg.default_hooks.checkpoint.save_best == "coco/bbox_mAP_50"
    assert cfg.model.backbone.init_cfg.checkpoint == "open-mmlab://darknet53"
    optimizer = cfg.optim_wrapper.optimizer
    decay = 1e-3 if method == "pgd" else 5e-4  # its own paper's
    assert optimizer.lr * optimizer.weight_decay == pytest.approx(0.01 * decay)
    if optimizer.type == "SGD":
        assert optimizer.momentum == 0.9
        assert optimizer.lr == pytest.approx(0.01 / IMAGES)
        assert optimizer.weight_decay == pytest.approx(decay * IMAGES)


@pytest.mark.parametrize("folder", ["", "mini/"])
@pytest.mark.parametrize("method", METHODS)
def test_each_config_is_the_baseline_with_one_method(folder, method):
    cfg, baseline = load(f"{folder}yolov3_{method}"), load(f"{folder}yolov3_wd")
    assert method_of(cfg) == METHODS[method]
    assert cfg.optim_wrapper.constructor == "NormRegOptimWrapperConstructor"
    assert cfg.custom_imports.imports == ["normreg_plugins"]
    assert cfg.model.backbone.norm_eval is False
    assert cfg.model.backbone.frozen_stages == -1
    for part in ("train_dataloader", "val_dataloader", "train_cfg", "val_evaluator"):
        assert cfg[part] == baseline[part], part


def test_the_paper_and_its_split_differ_in_the_data_alone():
    for method in METHODS:
        cfg, split = load(f"yolov3_{method}"), load(f"yolov3_{method}_coco2014")
        changed = {key for key in cfg if cfg[key] != split[key]}
        assert changed == {
            "data_root", "train_dataloader", "val_dataloader", "test_dataloader",
            "val_evaluator", "test_evaluator",
        }  # fmt: skip
        for data, lists in (("train", "trainvalno5k"), ("val", "5k"), ("test", "5k")):
            dataset, reference = (c[f"{data}_dataloader"].dataset for c in (split, cfg))
            assert dataset.ann_file == f"annotations/instances_{lists}.json"
            assert (dataset.data_root, dataset.data_prefix.img) == ("data/coco2014/", "")
            assert dataset.pipeline == reference.pipeline
        files = {metric.ann_file for metric in (*split.val_evaluator, *split.test_evaluator)}
        assert files == {"data/coco2014/annotations/instances_5k.json"}
        assert [m.type for m in split.val_evaluator] == [m.type for m in cfg.val_evaluator]


def test_the_stock_config_is_mmdets_with_two_lines(tmp_path):
    from mmengine.config import Config

    stock = tmp_path / "stock.py"
    stock.write_text('_base_ = "mmdet::yolo/yolov3_d53_8xb8-ms-608-273e_coco.py"\n')
    theirs, ours = Config.fromfile(stock), load("yolov3_wrs_stock")
    assert {key for key in ours if ours[key] != theirs.get(key)} == {
        "custom_imports",
        "optim_wrapper",
    }
    assert ours.train_cfg.max_epochs == 273
    kept = {k: v for k, v in ours.optim_wrapper.items() if k not in ("constructor", "regularizer")}
    assert kept == theirs.optim_wrapper


@pytest.mark.parametrize("name", ["yolov3_wd", "mini/yolov3_wd"])
def test_the_model_is_mmdets_yolov3_weight_for_weight(name, tmp_path):
    from mmengine.config import Config

    stock = tmp_path / "stock.py"
    stock.write_text('_base_ = "mmdet::yolo/yolov3_d53_8xb8-ms-608-273e_coco.py"\n')
    theirs = Config.fromfile(stock).model
    theirs.bbox_head.num_classes = load(name).model.bbox_head.num_classes
    model, reference = build(load(name).model), build(theirs)
    shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    assert shapes == {key: tuple(v.shape) for key, v in reference.state_dict().items()}
    model.train()
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert len(norms) == 72
    assert all(norm.training for norm in norms)


def test_mini_configs_do_not_share_their_work_dir_with_the_papers():
    """Else `--resume` would go on from the other one's checkpoint."""
    for method in METHODS:
        assert load(f"mini/yolov3_{method}").work_dir == f"work_dirs/mini/yolov3_{method}"
        assert "work_dir" not in load(f"yolov3_{method}")


def test_mmdets_loss_is_a_sum_over_images():
    """What the translation of rate and decay rests on."""
    from mmdet.registry import MODELS
    from mmdet.structures import DetDataSample
    from mmengine.registry import init_default_scope
    from mmengine.structures import InstanceData

    init_default_scope("mmdet")
    head = MODELS.build({**load("mini/yolov3_wd").model.bbox_head, "train_cfg": TRAIN_CFG})
    head.init_weights()
    head.eval()  # the same features for each copy of the image
    torch.manual_seed(0)
    sample = DetDataSample(metainfo={"img_shape": (96, 96), "pad_shape": (96, 96)})
    boxes = torch.tensor([[8.0, 8.0, 40.0, 44.0], [50.0, 20.0, 75.0, 46.0]])
    sample.gt_instances = InstanceData(bboxes=boxes, labels=torch.tensor([0, 2]))
    sizes = ((512, 3), (256, 6), (128, 12))
    features = [torch.randn(1, channels, side, side) for channels, side in sizes]

    def loss(copies):
        repeated = tuple(f.repeat(copies, 1, 1, 1) for f in features)
        parts = head.loss(repeated, [sample] * copies)
        return sum(sum(values) for values in parts.values())

    torch.testing.assert_close(loss(IMAGES), IMAGES * loss(1))


TRAIN_CFG = {"assigner": {"type": "GridAssigner", "pos_iou_thr": 0.5, "neg_iou_thr": 0.5, "min_pos_iou": 0}}


def test_rate_over_k_and_decay_times_k_undo_a_loss_times_k():
    """The translation itself: SGD with momentum on k L takes the steps of SGD on L."""
    start = torch.randn(6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    ends = []
    for k in (1, IMAGES):
        weight = torch.nn.Parameter(start.clone())
        sgd = torch.optim.SGD([weight], lr=0.01 / k, momentum=0.9, weight_decay=5e-4 * k)
        for _ in range(20):
            sgd.zero_grad()
            (k * (weight**4 - weight).sum()).backward()
            sgd.step()
        ends.append(weight.detach())
    torch.testing.assert_close(ends[0], ends[1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("multiplied", [False, True])
def test_clipping_ends_that_unless_its_threshold_is_multiplied_too(multiplied):
    start = torch.linspace(-3, 3, 30, dtype=torch.float64)
    ends = []
    for k in (1, IMAGES):
        threshold = 35 * k if multiplied else 35
        weight = torch.nn.Parameter(start.clone())
        sgd = torch.optim.SGD([weight], lr=0.01 / k, momentum=0.9, weight_decay=5e-4 * k)
        for _ in range(5):
            sgd.zero_grad()
            (k * (weight**4 - weight).sum()).backward()
            assert torch.nn.utils.clip_grad_norm_([weight], threshold) > threshold
            sgd.step()
        ends.append(weight.detach())
    assert torch.allclose(ends[0], ends[1], rtol=1e-9) == multiplied


@pytest.mark.parametrize("name", ["yolov3", "mini/yolov3"])
@pytest.mark.parametrize(
    ("method", "decayed", "undecayed"),
    [
        ("wd", 147, 75),  # 75 kernels and 72 gammas (section VI-A of the WRS paper)
        ("adamp", 147, 75),
        ("wrs", 144, 78),  # 72 gammas and betas (Algorithm 1, line 7)
        ("wrs_ic", 144, 78),
        ("aws", 75, 147),  # 72 gammas and 3 output weights (experimental setting of its paper)
        ("pgd", 75, 147),  # 75 kernels (section 4.1.1 of its paper)
    ],
)
def test_the_optimizer_is_built_with_the_method_on_72_weights(name, method, decayed, undecayed):
    from mmengine.optim import build_optim_wrapper

    from normreg_plugins.core.training import handle_of

    cfg = load(f"{name}_{method}")
    on_cpu = method == "pgd"  # it projects the weights at once, so there must be some
    model = build(cfg.model, "cpu" if on_cpu else "meta").train()
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper).optimizer
    handle = handle_of(optimizer)
    assert len(handle.targets) == 72
    assert not any("convs_pred" in target for target in handle.targets)
    decay = cfg.optim_wrapper.optimizer.weight_decay
    counts = {
        value: sum(len(g["params"]) for g in optimizer.param_groups if g["weight_decay"] == value)
        for value in (decay, 0)
    }
    assert counts == {decay: decayed, 0: undecayed}
    assert len(optimizer.param_groups) <= 3


def test_in_the_stock_config_the_frozen_norms_are_compensated():
    from mmengine.optim import build_optim_wrapper

    from normreg_plugins.core.training import handle_of

    cfg = load("yolov3_wrs_stock")
    model = build(cfg.model).train()
    handle = handle_of(build_optim_wrapper(model, cfg.optim_wrapper).optimizer)
    kinds = [str(verdict.kind) for verdict in handle.verdicts]
    assert (kinds.count("invariant"), kinds.count("compensated"), kinds.count("free")) == (20, 52, 3)
