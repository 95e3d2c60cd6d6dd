"""The Python of the pages that other tests do not run: it runs as it stands, or with the sizes named here."""

import re
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.distributed.fsdp
from helpers.tiny_yolo import OFFLINE, make_set
from helpers.training import loss_on, tiny_net
from torch import nn
from torch.optim.swa_utils import update_bn

from normreg_plugins import SphereDescent, WeightRescaling, attach, find_scale_invariant
from normreg_plugins.core.training import handle_of
from normreg_plugins.monitor import Monitor

DOCS = Path(__file__).parents[1] / "docs"
HAS_FSDP2 = hasattr(torch.distributed.fsdp, "fully_shard")
CONFIGS = ("detection", "layers", "mmengine", "monitor", "multi_gpu", "segmentation")


def blocks(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", (DOCS / f"{page}.md").read_text(), re.MULTILINE | re.DOTALL)


def run(code: str, **names) -> dict:
    exec(compile(code, "a page's code", "exec"), names)
    return names


def trained() -> dict:
    net = tiny_net()
    return {"model": net, "optimizer": torch.optim.SGD(net.parameters(), lr=0.1)}


def test_the_start_page() -> None:
    (code,) = blocks("index")
    assert run(code, **trained())["handle"].targets


def test_the_monitor_of_a_plain_loop(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = (block for block in blocks("monitor") if "with Monitor" in block)
    names = trained()

    def train() -> None:
        for update in range(50):
            names["optimizer"].zero_grad()
            loss_on(names["model"], update).backward()
            names["optimizer"].step()

    run(code, **names, train=train)
    assert (tmp_path / "norms.jsonl").read_text().count("\n") == 1


def test_a_monitor_writes_to_tensorboard(tmp_path, monkeypatch) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.chdir(tmp_path)
    (code,) = (block for block in blocks("monitor") if "SummaryWriter" in block)
    made = trained()
    names = run(code, **made, Monitor=partial(Monitor, every=2))
    for update in range(4):
        loss_on(made["model"], update).backward()
        made["optimizer"].step()
    names["writer"].close()
    logged = EventAccumulator(str(tmp_path / "runs/wrs")).Reload()
    last = names["monitor"].last.scalars()
    for name in ("norms/mean", "norms/update_ratio", "norms/greatest_variance"):
        assert [event.step for event in logged.Scalars(name)] == [2, 4]
        assert logged.Scalars(name)[-1].value == pytest.approx(last[name])


def test_counting_people(capsys) -> None:
    (code,) = blocks("crowd")
    names = run(code)
    assert names["density"].shape == (2, 1, 16, 16)
    assert capsys.readouterr().out.strip()


def test_converting_and_folding() -> None:
    conversions = [block for block in blocks("layers") if "convert" in block]
    images = torch.randn(8, 3, 8, 8)
    net = tiny_net().eval()
    norm_layers = [name for name, module in net.named_modules() if isinstance(module, nn.BatchNorm2d)]
    names = {"net": net, "forward": lambda model: model(images), "batches": [images], "norm_layers": norm_layers}
    code = "from normreg_plugins.layers import convert, fold, relative_change\n" + "\n".join(conversions)
    made = run(code, **names, update_bn=update_bn)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in made["plain"].modules())
    torch.testing.assert_close(made["plain"](images), net(images), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(made["sphere"].eval()(images), made["centred"].eval()(images), rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(not HAS_FSDP2, reason="torch.distributed.fsdp.fully_shard: torch >= 2.6")
def test_sharding_before_attaching_and_a_distributed_checkpoint(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    shard, save = (block for block in blocks("multi_gpu") if "torch.distributed." in block)
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        names = run(shard, model=tiny_net(), torch=torch, attach=attach, WeightRescaling=WeightRescaling)
        assert handle_of(names["optimizer"]).targets
        run(save, **{name: names[name] for name in ("model", "optimizer", "torch")})
        assert list((tmp_path / "step_1000").glob("*.distcp"))
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.mm
@pytest.mark.parametrize("page", CONFIGS)
def test_lines_of_configs_name_what_there_is(page) -> None:
    from types import SimpleNamespace

    from mmengine.registry import HOOKS, MODELS

    from normreg_plugins.hosts.mmengine import build_regularizer

    found = 0
    for block in blocks(page):
        if not re.search(r"^(custom_|optim_|conv_cfg|auto_|default_hooks)", block, re.MULTILINE):
            continue
        made = run(block, _base_=SimpleNamespace(custom_hooks=[]))
        wrapper = made.get("optim_wrapper", {})
        if "regularizer" in wrapper:
            assert build_regularizer(wrapper["regularizer"]) == WeightRescaling(interval=10)
        for hook in [*made.get("custom_hooks", []), *made.get("default_hooks", {}).values()]:
            assert HOOKS.build(hook)
        for layer in (made[key] for key in ("conv_cfg", "norm_cfg") if key in made):
            assert MODELS.get(layer["type"]) is not None
        found += 1
    assert found


@pytest.mark.ultralytics
@pytest.mark.slow
@pytest.mark.parametrize("page", ["ultralytics", "monitor"])
def test_lines_for_ultralytics_train(page, tmp_path) -> None:
    """The network, the set and the length are small ones; the lines are the page's."""
    from ultralytics import YOLO

    (code,) = (block for block in blocks(page) if "model.train(" in block)
    small = code.replace("yolov3.yaml", "yolo11n.yaml").replace('data="coco.yaml"', "data=data, **short")
    names = {"data": make_set(tmp_path, "detect"), "short": {**OFFLINE, "epochs": 1, "project": str(tmp_path)}}
    if "YOLO(" not in code:
        names["model"] = YOLO("yolo11n.yaml")
    model = run(small.replace(", epochs=100", ""), **names)["model"]
    assert find_scale_invariant(model.model).of("invariant")
    assert list(tmp_path.glob("*/norms.jsonl"))


@pytest.mark.ultralytics
def test_a_trainer_class_of_ones_own() -> None:
    (code,) = (block for block in blocks("ultralytics") if "class MyTrainer" in block)
    assert run(code)["MyTrainer"].method == WeightRescaling(interval=10)


@pytest.mark.mm
def test_the_mm_config_for_fine_tuning_is_one(tmp_path) -> None:
    from mmengine.config import Config

    from normreg_plugins.hosts.mmengine import build_regularizer

    page = (DOCS / "fine_tuning.md").read_text()
    code, pgd = re.findall(r"^```py\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "my_config.py").write_text(code)
    (tmp_path / "pgd.py").write_text(pgd)
    config, on_sphere = (Config.fromfile(tmp_path / f"{name}.py") for name in ("my_config", "pgd"))
    assert (on_sphere.load_from, on_sphere.train_cfg) == (None, config.train_cfg)
    assert build_regularizer(on_sphere.optim_wrapper.regularizer) == SphereDescent(center=False)
    assert on_sphere.model.init_cfg.checkpoint == config.load_from
    for loader in (config.train_dataloader, config.val_dataloader):
        assert loader.dataset.type == "CocoDataset"
        assert loader.dataset.data_root == "data/mini/detection/"
        assert config.model.bbox_head.num_classes == len(loader.dataset.metainfo.classes)
    assert config.val_evaluator.ann_file == "data/mini/detection/annotations/val.json"
    assert build_regularizer(config.optim_wrapper.regularizer).radius == "initial"


@pytest.mark.ultralytics
def test_the_ultralytics_command_for_fine_tuning_is_one() -> None:
    pytest.importorskip("ultralytics")
    from normreg_plugins.cli.train_ultralytics import parse
    from normreg_plugins.hosts.methods import take_method

    page = (DOCS / "fine_tuning.md").read_text().replace("\\\n", " ")
    (words,) = re.findall(r"normreg train-ultralytics (.*)$", page, re.MULTILINE)
    settings = parse(words.split())
    assert take_method(settings) == WeightRescaling(interval=10, radius="initial")
    assert (settings["optimizer"], settings["lr0"], settings["model"]) == ("SGD", 0.01, "yolo11n.pt")
