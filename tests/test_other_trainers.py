"""The snippets of docs/other_trainers.md, run as they stand; and runs of those trainers that stop and go on.

timm is always there. `make test-trainers` installs the other trainers beside the maintained stack and runs this file.
"""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from helpers.training import same_state
from torch import nn
from torch.utils.data import DataLoader

from normreg_plugins import WeightRescaling, attach
from normreg_plugins.core.errors import SelectionError
from normreg_plugins.core.training import handle_of

PAGE = (Path(__file__).parents[1] / "docs" / "other_trainers.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def run_block(library: str, **replaced: str) -> SimpleNamespace:
    """Run the page's network and the block that imports a library, and return the names that they define."""
    (block,) = [code for code in BLOCKS if re.search(rf"^(import|from) {library}\b", code, re.MULTILINE)]
    for old, new in replaced.items():
        assert old in block
        block = block.replace(old, new)
    names: dict = {"__name__": "page"}
    torch.manual_seed(0)
    for code in (BLOCKS[0], block):
        exec(compile(code, "docs/other_trainers.md", "exec"), names)
    return SimpleNamespace(**names)


def are_unit(net: nn.Module) -> bool:
    norms = net[0][0].weight.detach().flatten(1).norm(dim=1)
    return torch.allclose(norms, torch.ones_like(norms), rtol=1e-5)


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_timm_and_its_average() -> None:
    page = run_block("timm")
    assert page.handle.updates == 16
    assert len(page.handle.targets) == 15
    norms = page.net.get_parameter(page.handle.targets[3]).detach().flatten(1).norm(dim=1)
    assert torch.allclose(norms, torch.ones_like(norms), rtol=1e-5)
    averaged = page.average.module.get_parameter(page.handle.targets[3]).flatten(1).norm(dim=1)
    assert torch.allclose(averaged, norms, rtol=1e-4)
    rates = {group["lr"] for group in page.optimizer.param_groups}
    assert len(rates) == 1
    assert 0 < rates.pop() < 0.1


def test_lightning_accumulates_and_resumes(tmp_path) -> None:
    lightning = pytest.importorskip("lightning")
    page = run_block("lightning")
    net = page.trainer.lightning_module
    assert net.handle.updates == 8
    assert are_unit(net.layers)
    page.trainer.save_checkpoint(tmp_path / "half.ckpt")

    def train(checkpoint=None):
        trainer = lightning.Trainer(max_epochs=4, accumulate_grad_batches=2, accelerator="cpu", logger=False)
        trainer.fit(net := page.Net(), DataLoader(page.images, batch_size=4), ckpt_path=checkpoint, weights_only=False)
        return net

    whole, rest = train(), train(tmp_path / "half.ckpt")
    assert whole.handle.updates == rest.handle.updates == 16
    assert same_state(whole, rest)


def test_accelerate_in_bfloat16() -> None:
    pytest.importorskip("accelerate")
    page = run_block("accelerate", **{"cpu=True": 'cpu=True, mixed_precision="bf16"'})
    assert page.handle.updates == 4
    assert are_unit(page.net)


def test_hugging_face_trainer_accumulates_and_resumes(tmp_path) -> None:
    pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    page = run_block("transformers")
    assert page.trainer.handle.updates == 8
    assert are_unit(page.trainer.model.layers)

    def train(folder, checkpoint=None):
        more = {**page.options, "lr_scheduler_type": "constant", "num_train_epochs": 4, "use_cpu": True}
        arguments = page.TrainingArguments(str(tmp_path / folder), **more)
        trainer = page.MethodTrainer(page.Classifier(), arguments, train_dataset=page.data)
        trainer.train(resume_from_checkpoint=checkpoint)
        return trainer

    whole = train("whole")
    rest = train("rest", str(tmp_path / "whole" / "checkpoint-8"))
    assert whole.handle.updates == rest.handle.updates == 16
    assert same_state(whole.model, rest.model)


def test_accelerate_accumulates_and_resumes(tmp_path) -> None:
    pytest.importorskip("accelerate")
    page = run_block("accelerate")
    assert page.handle.updates == 4
    assert are_unit(page.net)
    assert handle_of(page.optimizer.optimizer) is page.handle
    page.accelerator.save_state(tmp_path / "half")
    again = run_block("accelerate")
    again.accelerator.load_state(tmp_path / "half")
    assert same_state(page.net, again.net)
    for one in (page, again):
        for pixels, labels in one.batches:
            with one.accelerator.accumulate(one.net):
                one.accelerator.backward(nn.functional.cross_entropy(one.net(pixels), labels))
                one.optimizer.step()
                one.optimizer.zero_grad()
    assert page.handle.updates == again.handle.updates == 8
    assert same_state(page.net, again.net)


def test_convnext_says_why_nothing_is_found() -> None:
    timm = pytest.importorskip("timm")
    net = timm.create_model("test_convnext", num_classes=4)
    optimizer = torch.optim.AdamW(net.parameters())
    pixels = torch.randn(2, 3, 32, 32)
    with pytest.raises(SelectionError, match=r"no weight to act on among 32 .*per_layer: its only reader"):
        attach(optimizer, net, WeightRescaling(), forward=lambda model: model(pixels))
