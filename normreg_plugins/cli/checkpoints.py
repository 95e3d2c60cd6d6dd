"""Convert and fold checkpoints of mm configs, with a check of how far the outputs moved."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmengine.registry import MODELS, init_default_scope
from torch import nn
from torch.utils._pytree import tree_flatten

from normreg_plugins.cli.console import refuse
from normreg_plugins.cli.mm_runs import config_of, require_checkpoint
from normreg_plugins.files import Inert, atomic_path, load_checkpoint
from normreg_plugins.layers import NORMALIZATIONS, AlreadyConvertedError, convert, fold, relative_change

CONVERT = """Convert a checkpoint of a batch norm net: `normreg convert-checkpoint CONFIG IN OUT --to ws`.

The new checkpoint belongs to the same config with these settings in its backbone, neck and heads:
  wn, cwn, ws, bwn   conv_cfg=dict(type="NormRegWSConv2d"), with gain=True after --gain
  pgd                norm_cfg=dict(type="NormRegScaleBias")
"""
FOLD = """Fold a checkpoint for inference: `normreg fold-checkpoint CONFIG IN OUT`.

Batch norm, scale-bias layers and weight normalization are folded into the weights and biases. The new checkpoint
belongs to the same config with these settings in its backbone, neck and heads:
  conv_cfg=dict(type="NormRegFoldedConv2d"), norm_cfg=dict(type="NormRegFoldedNorm")
"""
MARK = "normreg"
"""Key in a checkpoint's `meta`: how it was converted or folded."""
TOLERANCE = 1e-8
"""The largest relative change that counts as rounding, in float64. A hundred layers change by 1e-13 to 1e-12."""


def parser(description: str) -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = options.add_argument
    add("config", help="config of the net that the checkpoint belongs to")
    add("checkpoint", type=Path, help="checkpoint to read; it is not changed")
    add("out", type=Path, help="checkpoint to write; it must not exist")
    add("--keep", nargs="+", default=[], metavar="NAME", help="modules to leave as they are")
    add("--size", type=int, default=128, help="side of the random images that the outputs are compared on")
    return options


def convert_main(argv: Sequence[str] | None = None) -> int:
    add = (arguments := parser(CONVERT)).add_argument
    add("--to", required=True, choices=[*NORMALIZATIONS, "pgd"], help="the parametrization to convert to")
    add("--gain", action="store_true", help="not for pgd: with a learnable gain, which starts at the filter norms")
    add("--c", type=float, default=2.0, help="only for pgd: squared filter norm")
    add("--centre", action="store_true", help="only for pgd: subtract each filter's mean too")
    args = arguments.parse_args(argv)
    options = {"c": args.c, "centre": args.centre} if args.to == "pgd" else {"gain": args.gain}
    centred = args.centre if args.to == "pgd" else NORMALIZATIONS[args.to].centred
    change(args, args.to, partial(convert, to=args.to, **options), exact=not centred, **options)
    if centred:
        print("the outputs changed because each filter's mean was subtracted; continue training from here")
    return 0


def fold_main(argv: Sequence[str] | None = None) -> int:
    change(parser(FOLD).parse_args(argv), "folded", fold, exact=True)
    return 0


def change(args: argparse.Namespace, to: str, work: Callable[..., nn.Module], *, exact: bool, **options: Any) -> None:
    """Write what `work` makes of the checkpoint, in float32, unless outputs moved that should not."""
    model, meta = read(args)
    before = meta.get(MARK, {}).get("to")
    if before == "folded" or (before and to != "folded"):
        raise AlreadyConvertedError(f"{args.checkpoint} is already converted: {meta[MARK]}")
    forward = forward_of(args.size)
    print(f"changing {args.checkpoint} to {to}", flush=True)
    result = work(model, forward=forward, keep=args.keep)
    moved = relative_change(model, result, forward)
    print(f"relative change of the evaluated outputs on random images, in float64: {moved:.1e}")
    if exact and not moved < TOLERANCE:
        refuse(f"that is more than rounding ({TOLERANCE}): nothing was written")
    mark = {"to": to, "source": args.checkpoint.name, "keep": args.keep, **options}
    with atomic_path(args.out) as unfinished:
        torch.save({"meta": {**meta, MARK: mark}, "state_dict": result.float().state_dict()}, unfinished)
    print(f"written: {args.out} (weights and meta only: a run cannot be resumed from it)")


def read(args: argparse.Namespace) -> tuple[nn.Module, dict[str, Any]]:
    """The net of the config with the weights of the checkpoint, in float64, and its meta."""
    require_checkpoint("checkpoint", str(args.checkpoint))
    if args.out.exists():
        refuse(f"{args.out} exists; remove it or choose another name")
    cfg = config_of(args.config)
    init_default_scope(cfg.get("default_scope", "mmengine"))
    model = MODELS.build(cfg.model).double()
    meta = load_weights(model, args.checkpoint, args.config)
    return model, {key: value for key, value in meta.items() if not _holds_inert(value)}


def load_weights(model: nn.Module, path: Path, config: str | Path, *, other_classes: bool = False) -> dict[str, Any]:
    """Put the weights of a checkpoint into the net of a config; return its meta.

    Args:
        other_classes: leave out weights of another shape, as `load_from` does in fine-tuning, and print their names.
    """
    checkpoint = load_checkpoint(path)
    state = checkpoint["state_dict"]
    try:
        model.load_state_dict(_fitting(state, model) if other_classes else state)
    except (AttributeError, RuntimeError, TypeError) as error:
        refuse(f"{path} does not belong to the net of {config}:\n{error}")
    return checkpoint["meta"]


def _fitting(state: dict[str, Any], model: nn.Module) -> dict[str, Any]:
    """`state`, with the model's own values where shapes differ."""
    own = {name: value for name, value in model.state_dict().items() if name in state}
    differ = {name: value for name, value in own.items() if state[name].shape != value.shape}
    if differ:
        print(f"not loaded, because the shapes differ: {', '.join(differ)}")
    return {**state, **differ}


def _holds_inert(value: Any) -> bool:
    return any(isinstance(leaf, Inert) for leaf in tree_flatten(value)[0])


def forward_of(size: int) -> Callable[[nn.Module], list[Any]]:
    """A forward through all heads that training uses, on the same random images at each call."""
    images = torch.randn(2, 3, size, size, dtype=torch.float64)

    def forward(model: Any) -> list[Any]:
        outputs = [model(images, mode="tensor")]
        head = getattr(model, "auxiliary_head", None)  # mmseg leaves it out of 'tensor'
        if head is not None:
            features = model.extract_feat(images)
            outputs += [h(features) for h in (head if isinstance(head, nn.ModuleList) else [head])]
        return outputs

    return forward
