"""What a run says about its method: to the log, to its folder and to its loggers."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from ultralytics.utils import LOGGER, colorstr

from normreg_plugins.core import Handle
from normreg_plugins.core.filters import filters_of

PREFIX = colorstr("normreg:")
VERDICTS_FILE = "normreg_verdicts.txt"


def tell(handle: Handle, decay: float, norms_decayed: bool, folder: Path) -> None:
    """Which weights it acts on, in short to the log and in full to the run folder; and who is decayed.

    Args:
        decay: what the trainer gives its weights.
    """
    method, verdicts, file = handle.method, handle.verdicts, folder / VERDICTS_FILE
    LOGGER.info(f"{PREFIX} {method!r} acts on {len(handle.targets)} of {verdicts.summary()}; all in {file}")
    on_targets = 0.0 if method.drops_weight_decay else decay
    LOGGER.info(
        f"{PREFIX} weight decay {on_targets:g} on these, {decay:g} on other weights, {decay * norms_decayed:g} on norms"
        f" (the trainer leaves norms undecayed, the WRS paper does not: decay_norms={norms_decayed})"
    )
    left = "".join(f"\n  {name}: {why}" for name, why in handle.left_alone.items())
    unfinished = file.with_suffix(".unfinished")
    unfinished.write_text(f"{verdicts}\n\n{method!r} leaves alone:{left or ' nothing'}\n")
    unfinished.replace(file)


@torch.no_grad()
def norm_statistics(handle: Handle, model: nn.Module) -> dict[str, float]:
    """The norms of all filters it acts on, as scalars with names for results.csv and other loggers."""
    layers = [model.get_submodule(name.rpartition(".")[0]) for name in handle.targets]
    norms = torch.cat([filters_of(layer).norms(layer.weight).flatten() for layer in layers])  # type: ignore[arg-type]
    least, mean, most = torch.stack([norms.min(), norms.mean(), norms.max()]).tolist()
    return {"norm/min": least, "norm/mean": mean, "norm/max": most, "norm/updates": float(handle.updates)}
