"""What each row does to the pretrained network at the start: `python -m research.compare.function_kept NAME`.

It compares the features of the pretrained part on a batch of training pictures, in evaluation, with those of the plain
network under weight decay: when the weights are loaded, and after one update at rate 0, in which the method acts.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch
from mmengine.runner import Runner
from torch import Tensor, nn

from normreg_plugins.cli.mm_runs import build_runner, read_config
from normreg_plugins.layers import relative_change
from research.compare.cells import Cell, settings_of
from research.compare.description import Comparison, read_comparison
from research.compare.page import table
from research.compare.train_cell import config_of


def loaded_runner(comparison: Comparison, method: str, folder: Path) -> Runner:
    """The runner of this row, with its pretrained weights."""
    cell = Cell(method, next(iter(comparison.columns)), 0.0, 0)
    settings = {key: value for key, value in settings_of(comparison, cell).items() if key != "config"}
    if "optim_wrapper.regularizer.interval" in settings:
        settings["optim_wrapper.regularizer.interval"] = 1  # so that WRS acts in the first update
    settings["visualizer.name"] = folder.name + method
    runner = build_runner(read_config(config_of(comparison, method), settings, folder / method))
    for module in runner.model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.0  # the statistics change by the method alone
    runner.model.init_weights()
    return runner


def pretrained_part(model: nn.Module) -> nn.Module:
    """The backbone. CSRNet's is a pretrained front and a new back."""
    backbone = model.get_submodule("backbone")
    return getattr(backbone, "front", backbone)


def changes(comparison: Comparison, method: str, plain: nn.Module, folder: Path) -> tuple[float, float]:
    """||after - before|| / ||before|| of the features: when the weights are loaded, and when the method has acted."""
    runner = loaded_runner(comparison, method, folder)
    batch = next(iter(runner.build_dataloader(runner.cfg.train_dataloader, seed=0)))
    images = runner.model.data_preprocessor(batch, training=False)["inputs"]
    optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)

    def features(part: nn.Module) -> Tensor | tuple[Tensor, ...]:
        return part(images)

    part = pretrained_part(runner.model)
    when_loaded = relative_change(plain, part, features)
    runner.model.train().train_step(batch, optim_wrapper=optim_wrapper)
    return when_loaded, relative_change(plain, part, features)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("comparison")
    comparison = read_comparison(parser.parse_args().comparison)
    with tempfile.TemporaryDirectory() as folder:
        plain = pretrained_part(loaded_runner(comparison, comparison.compared_with, Path(folder) / "plain").model)
        found = {method: changes(comparison, method, plain, Path(folder)) for method in comparison.methods}
    rows = [[method, *(f"{change:.1e}" for change in each)] for method, each in found.items()]
    print(table(["", "weights loaded", "method has acted"], rows))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
