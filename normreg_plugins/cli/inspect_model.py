"""What would a method do to this model? `normreg inspect CONFIG [CHECKPOINT]`

It prints a table: the verdict on every weight, whether the numeric proof agrees, its filter norms, and how many filters
are zero. Then it says how the method (that of --method or the config, else WRS) changes the effective learning rate at
the start of training, and lists the weights that it leaves alone.
"""

from __future__ import annotations

import argparse
import copy
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.model.utils import revert_sync_batchnorm
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, init_default_scope
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from torch import nn

from normreg_plugins import Verdicts, WeightRescaling, attach, find_scale_invariant, prove_scale_invariant
from normreg_plugins.cli.checkpoints import load_weights
from normreg_plugins.cli.console import refuse, say, wide_console
from normreg_plugins.cli.drawn_batch import NotDrawnError, classes_of, drawn_forward, sides_of
from normreg_plugins.cli.method_flag import add_method_flag, use_method
from normreg_plugins.cli.mm_runs import add_cfg_options, config_of, require_checkpoint
from normreg_plugins.cli.preflight.check import host_problems, initial_weights, mappings_in, method_of
from normreg_plugins.core.errors import ProofError
from normreg_plugins.core.model import filters_of
from normreg_plugins.core.verdicts.find import Forward
from normreg_plugins.hosts.methods import build_regularizer
from normreg_plugins.monitor import rate_at_start

TAKEN = ("invariant", "compensated")
"""The verdicts on weights that methods take by themselves."""
FEW = 100
"""The most proposals that a second stage gets: it has the same layers with more, and is slower."""
FEW_QUERIES = 50
"""The most queries that a DETR of two stages chooses among the places of its pictures, of which small ones have few."""
STYLES = {"invariant": "green", "compensated": "cyan", "free": "dim", "unsafe": "red"}


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("config", type=Path)
    options.add_argument("checkpoint", type=Path, nargs="?")
    options.add_argument(
        "--prove", action=argparse.BooleanOptionalAction, default=True, help="prove the verdicts by numbers"
    )
    smallest = "side of the random images (default: 64, or the model's own input size if it needs that)"
    options.add_argument("--size", type=int, help=smallest)
    add_cfg_options(options)
    add_method_flag(options)
    return options


def build_model(args: argparse.Namespace, cfg: Config) -> nn.Module:
    """The model of the config, with the weights of the checkpoint or random ones."""
    if problems := host_problems(cfg):
        refuse(str(problems[0]))
    if "model" not in cfg:
        refuse(f"{args.config} has no model")
    init_default_scope(cfg.get("default_scope") or "mmengine")
    torch.manual_seed(0)
    try:
        model = revert_sync_batchnorm(MODELS.build(model_settings(cfg)))
        if hasattr(model, "init_weights"):
            model.init_weights()
    except Exception as error:  # a model of another package may raise anything
        refuse(f"{args.config}: the model cannot be built: {type(error).__name__}: {next(iter(error.args), None)}")
    if args.checkpoint is not None:
        load_weights(model, args.checkpoint, args.config, other_classes=True)
    elif named := [weights for _, weights in initial_weights(cfg)]:
        say(f"The filter norms are random, not those of {named[-1]}: name a CHECKPOINT to see its norms")
    model.train()
    return model


def model_settings(cfg: Config) -> dict[str, Any]:
    """The config's model, without augmentation of batches, with few proposals, and random."""
    settings = copy.deepcopy(cfg.model)
    if preprocessor := settings.get("data_preprocessor") or copy.deepcopy(cfg.get("data_preprocessor")):
        preprocessor.pop("batch_augments", None)
        settings.data_preprocessor = preprocessor  # mmengine, too, takes it from either place
    if settings.get("train_cfg"):
        settings.train_cfg.pop("augments", None)
    if proposals := (settings.get("train_cfg") or {}).get("rpn_proposal"):
        proposals.update(max_per_img=FEW, nms_pre=FEW)
    if settings.get("as_two_stage") and "num_queries" in settings:
        settings.num_queries = min(settings.num_queries, FEW_QUERIES)
    parts: list[Any] = [part for _, part in mappings_in(settings, "")]
    for part in parts:
        if "Pretrained" in str(part.get("init_cfg")):
            part["init_cfg"] = None
        if "pretrained" in part:
            part["pretrained"] = None
    return settings


def trace(model: nn.Module, cfg: Config, sides: Sequence[int]) -> tuple[Verdicts, Forward | None]:
    """The verdicts, and the forward that showed them: None if they are by structure, because none could be drawn."""
    side, *larger = sides
    try:
        with Console(stderr=True).status(f"tracing a forward of pictures of {side} x {side} pixels"):
            forward = drawn_forward(model, cfg, side)
            return find_scale_invariant(model, forward), forward
    except NotDrawnError as error:
        if larger:
            return trace(model, cfg, larger)
        by_structure = "The verdicts are by structure; training traces its first forward."
        say(f"No drawn batch fits this model: {error}. {by_structure}")
        return find_scale_invariant(model), None


COLUMNS = ("weight", "verdict", "norm layers", "filters", "filter norm: min", "mean", "max", "zero")


def norms_of(model: nn.Module, name: str) -> torch.Tensor:
    layer = model.get_submodule(name.rpartition(".")[0])
    return filters_of(layer).norms(model.get_parameter(name)).detach().flatten()


def table_of(model: nn.Module, verdicts: Verdicts, proof: Verdicts | None) -> Table:
    """A row for each weight. Red: a method would scale it, but numbers say that the network sees its scale."""
    table = Table(*COLUMNS, title=verdicts.summary())
    proven = {verdict.name: verdict.kind for verdict in proof or verdicts}
    for verdict in verdicts:
        norms = norms_of(model, verdict.name)
        numbers = [f"{value:.3g}" for value in (norms.min(), norms.mean(), norms.max())]
        counts = [str(norms.numel()), *numbers, str(int((norms == 0).sum()))]
        kind, by_numbers = verdict.kind, proven[verdict.name]
        said = "" if proof is None else " =" if by_numbers == kind else f", by numbers {by_numbers}"
        style = STYLES.get(kind.value, "yellow")
        if kind in TAKEN and by_numbers not in TAKEN:
            said, style = f" BUT NUMBERS SAY {by_numbers}", "bold red"
        table.add_row(verdict.name, f"{kind.value}{said}", ", ".join(verdict.norms), *counts, style=style)
    return table


def compare(verdicts: Verdicts, proof: Verdicts) -> str:
    """How many verdicts numbers confirm, and what to do about the others."""
    differ = [(v, p) for v, p in zip(verdicts, proof) if p.kind != v.kind]
    wrong = [v.name for v, p in differ if v.kind in TAKEN and p.kind not in TAKEN]
    unseen = [v.name for v, p in differ if v.kind not in TAKEN and p.kind in TAKEN]
    lines = [f"proven by numbers: {len(verdicts) - len(differ)} of {len(verdicts)} verdicts agree"]
    if wrong:
        lines.append(f"Leave out with select=, because the network sees their scale: {', '.join(wrong)}")
    if unseen:
        lines.append(f"Left alone, though this batch does not show their scale: {', '.join(unseen)}")
    if harmless := len(differ) - len(wrong) - len(unseen):
        lines.append(f"Left alone by either verdict, so that nothing has to be done: {harmless}")
    return "\n".join(lines)


def prove(model: nn.Module, forward: Forward, verdicts: Verdicts) -> Verdicts | None:
    """The verdicts by numbers; None, and the reason on stderr, if this forward cannot prove any."""
    expected = 8 + 3 * sum(verdict.kind not in TAKEN for verdict in verdicts)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("proof (--no-prove leaves it out, a smaller --size is faster)", total=expected)

        def counted(model: nn.Module) -> Any:
            progress.advance(task)
            return forward(model)

        try:
            return prove_scale_invariant(model, counted)
        except (ProofError, NotDrawnError) as error:
            say(f"No proof by numbers: {error}")
            return None


def report_method(model: nn.Module, cfg: Config, forward: Forward | None, console: Console) -> None:
    """Attach the method, and print what it would act on and what it would leave alone."""
    method = build_regularizer(method_of(cfg) or {"type": "WRS"})
    settings = cfg.get("optim_wrapper", {}).get("optimizer") or {"type": "SGD", "lr": 0.01}
    optimizer = build_optim_wrapper(model, {"optimizer": settings}).optimizer
    handle = attach(optimizer, model, method, forward=forward, updates_per_epoch=1.0)
    if change := rate_at_start(handle):
        console.print(f"\n{change}")
    if (layer := output_layer(model, cfg)) and isinstance(method, WeightRescaling) and not method.output_layers:
        console.print(f"\nTo rescale the output layer too, as the WRS paper does: output_layers=[{layer}]")
    console.print(f"\n{handle.method!r} would act on {len(handle.targets)} weights and leave alone:")
    for name, reason in handle.left_alone.items():
        console.print(f"  {name}: {reason}")


def output_layer(model: nn.Module, cfg: Config) -> str | None:
    """The linear layer that gives a classifier's scores, if there is one such layer."""
    classes = classes_of(cfg) if "head" in cfg.model else 0
    linear = {name: each for name, each in model.named_modules() if isinstance(each, nn.Linear)}
    last = [name for name, each in linear.items() if name.startswith("head.") and each.out_features == classes]
    return last[0] if len(last) == 1 else None


def main(argv: Sequence[str] | None = None) -> int:
    args = parser().parse_args(argv)
    if args.checkpoint is not None:
        require_checkpoint("checkpoint", str(args.checkpoint))
    logging.disable(logging.WARNING)
    console = wide_console()
    cfg = config_of(args.config)
    cfg.merge_from_dict(args.cfg_options or {})
    use_method(cfg, args.method)
    model = build_model(args, cfg)
    verdicts, forward = trace(model, cfg, [args.size] if args.size else sides_of(cfg))
    proof = prove(model, forward, verdicts) if args.prove and forward else None
    console.print(table_of(model, verdicts, proof))
    if proof is not None:
        console.print(compare(verdicts, proof))
    report_method(model, cfg, forward, console)
    return 0
