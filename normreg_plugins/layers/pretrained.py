"""Read the checkpoint of a plain network into one with scale-bias layers or weight-normalized layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from normreg_plugins.core.model import Layer, has_running_statistics, layers_of
from normreg_plugins.core.verdicts import Kind, NormReader, registered_after
from normreg_plugins.layers.convert import follow_, onto_sphere_
from normreg_plugins.layers.normalization import NORMALIZATIONS, Normalization, centred
from normreg_plugins.layers.normalized import NormalizedWeight
from normreg_plugins.layers.scale_bias import ScaleBias

State = Mapping[str, Tensor]


@dataclass
class Loaded:
    """What `load_pretrained_` could not keep."""

    removed: list[Tensor] = field(default_factory=list)
    """For each layer that is centred, the part of each filter's norm that centring removed."""
    missing: list[str] = field(default_factory=list)
    """What the model has and the checkpoint has not, or has in another shape."""
    unused: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        text = "computes what the checkpoint's network does"
        if self.removed:
            parts = torch.cat(self.removed)
            text += (
                f", except for centring: it removes {parts.median():.0%} of the norm of the median filter (at most "
                f"{parts.max():.0%})"
            )
        for what, names in (("not in the checkpoint, or of another shape", self.missing), ("unused", self.unused)):
            if names:
                text += f"\n{what}: {', '.join(names)}"
        return text


@torch.no_grad()
def load_pretrained_(
    model: nn.Module, state: State, *, c: float = 2.0, center: bool = False, eps: float = 1e-5
) -> Loaded:
    """Load a checkpoint so that the model computes what the checkpoint's network computed in evaluation.

    The model has the same layers under the same names, with other norm layers or other convolutions:

    - Each batch norm of the checkpoint becomes the scale and shift of a ScaleBias. Without a batch norm, the bias of
      the convolution becomes the shift. The filters in front get the norm sqrt(c), for which the scale makes up.
    - Where the model's layer normalizes its own weight, the running statistics behind it follow.

    Which layer is in front of which is read from the order in which the modules are registered, as `attach` does
    before its first forward.

    Args:
        center: also center each filter in front of a ScaleBias, as PGD requires. That changes the function.
        eps: of the checkpoint's batch norms; a checkpoint does not contain it.
    """
    own = model.state_dict()
    fitting = {name: value for name, value in state.items() if name in own and value.shape == own[name].shape}
    model.load_state_dict(fitting, strict=False)
    affine = {n: _affine_in(state, n, m, eps) for n, m in model.named_modules() if isinstance(m, ScaleBias)}
    found, done, after = Loaded(), {*fitting}, registered_after(model)
    for layer in layers_of(model):
        for name, norm in after[id(layer.module)] if layer.name in fitting else ():
            bias = state.get(f"{layer.module_name}.bias") if layer.bias is None else None
            if isinstance(norm, ScaleBias):
                scale, shift = affine[name]
                if bias is not None:
                    shift.add_(scale * bias.to(scale))
                normalization = NORMALIZATIONS["cwn" if center else "wn"]
                found.removed += _removed(layer, normalization)
                scale.div_(onto_sphere_(layer, normalization, c))
                done |= {f"{layer.module_name}.bias", f"{name}.weight", f"{name}.bias"}
            elif has_running_statistics(norm):
                if bias is not None:
                    norm.running_mean.sub_(bias)  # type: ignore[operator]
                done.add(f"{layer.module_name}.bias")
                if isinstance(layer.module, NormalizedWeight):
                    found.removed += _removed(layer, layer.module.normalization)
                    follow_(layer, [NormReader(name, norm, Kind.COMPENSATED)])
    for name, (scale, shift) in affine.items():
        module = model.get_submodule(name)
        module.weight.copy_(scale)  # type: ignore[operator]
        module.bias.copy_(shift)  # type: ignore[operator]
        done |= {f"{name}.{entry}" for entry in ("running_mean", "running_var", "num_batches_tracked")}
    found.missing = [name for name in own if name not in done]
    found.unused = [name for name in state if name not in done]
    return found


@torch.no_grad()
def lost_in_loading(model: nn.Module) -> str:
    """A sentence on the layers whose values were only copied from other layers, as by `load_state_dict`; '' if none."""
    scales = {name: factors for name, m in model.named_modules() if (factors := _scaled_by_copying(m)) is not None}
    if not scales:
        return ""
    least, greatest = (float(each) for each in torch.cat([*scales.values()]).double().aminmax())
    return (
        f"The network does not compute what the checkpoint's does: {len(scales)} layers, such as {next(iter(scales))}, "
        f"took the values of plain layers or batch norms. Evaluated, their channels are x{least:.2g} to "
        f"x{greatest:.2g} of what they were."
    )


def _scaled_by_copying(module: nn.Module) -> Tensor | None:
    """How much larger each channel of a layer is than that of the layer whose values it took; None if it took none."""
    if isinstance(module, ScaleBias) and module.lost_variance is not None:
        return module.lost_variance.sqrt()
    if isinstance(module, NormalizedWeight) and module.was_plain:
        filters = module.normalization.filters(module)
        norms = [filters.norms(each).flatten() for each in (module.normalized_weight(), module.weight)]
        return (norms[0] / norms[1])[norms[1] > 0]
    return None


def _affine_in(state: State, name: str, module: ScaleBias, eps: float) -> tuple[Tensor, Tensor]:
    """Scale and shift of the checkpoint's norm layer of this name, in float64. Without one, those of the identity."""

    def entry(of: str, default: float) -> Tensor:
        like = torch.full_like(module.bias, default, dtype=torch.float64)
        return like.copy_(state[f"{name}.{of}"]) if f"{name}.{of}" in state else like

    scale = entry("weight", 1.0) / (entry("running_var", 1.0 - eps) + eps).sqrt()
    return scale, entry("bias", 0.0) - entry("running_mean", 0.0) * scale


def _removed(layer: Layer, normalization: Normalization) -> list[Tensor]:
    """||mean part|| / ||w|| for each filter that is not zero, if it will be centred."""
    if not normalization.centred:
        return []
    filters, weight = normalization.filters(layer.module), layer.weight.double()
    before = filters.norms(weight)
    left = (filters.norms(centred(weight, normalization, filters)) / before).square().clamp(max=1)
    return [(1 - left).sqrt()[before > 0].flatten()]
