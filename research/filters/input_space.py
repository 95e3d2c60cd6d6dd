"""The space that a layer's inputs span, gathered batch by batch (WRS paper, eq. 12)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.conv import _ConvNd

from normreg_plugins.core.errors import NormRegError


class InputSpaces:
    """Watches the inputs of layers and keeps the covariance of what each filter sees.

    A filter of a convolution sees patches. A grouped convolution has one covariance per group. All sums are in float64.
    A layer whose filter has n entries needs 8 n^2 bytes per group: 170 MB for 512 channels and a 3 x 3 kernel.

        with InputSpaces(model, ["0.weight"]) as spaces:
            for images in loader:
                spaces.show(lambda model: model(images))
        bases = spaces.bases("0.weight")
    """

    def __init__(self, model: nn.Module, names: Iterable[str]) -> None:
        self._model = model
        self._moments: dict[str, list[Moments]] = {}
        layers = {name: model.get_submodule(name.rpartition(".")[0]) for name in names}
        for name, module in layers.items():
            _check(name, module)
        self._hooks = [
            module.register_forward_pre_hook(self._watching(name, module)) for name, module in layers.items()
        ]

    @torch.no_grad()
    def show(self, forward: Callable[[nn.Module], Any]) -> None:
        """Run one batch through the model in evaluation mode."""
        modes = [(module, module.training) for module in self._model.modules()]
        self._model.eval()
        try:
            forward(self._model)
        finally:
            for module, mode in modes:
                module.training = mode

    def covariances(self, name: str) -> list[Tensor]:
        """Sigma of each group: mean(h h^T) - mu mu^T over all patches h (eq. 12)."""
        if name not in self._moments:
            raise NormRegError(f"{name}: no forward has called this layer yet")
        return [moments.covariance() for moments in self._moments[name]]

    def bases(self, name: str) -> list[Tensor]:
        """The eigenvectors of each group's covariance as columns, by falling eigenvalue.

        Directions in which the inputs do not vary are left out: training cannot move a weight along them.
        """
        return [_span(covariance) for covariance in self.covariances(name)]

    def detach(self) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()

    def __enter__(self) -> InputSpaces:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.detach()

    def _watching(self, name: str, module: nn.Module) -> Callable[[nn.Module, Any], None]:
        @torch.no_grad()
        def look(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            groups = self._moments.setdefault(name, [])
            # One picture at a time, for its patches are k^2 times as many numbers.
            for sample in inputs[0].split(1 if inputs[0].ndim > 2 else len(inputs[0])):
                for index, rows in enumerate(patches(module, sample)):
                    if index == len(groups):
                        groups.append(Moments(rows))
                    groups[index].add(rows.double())

        return look


class Moments:
    """Mean and scatter of rows that come in batches (Chan's update: no large sums are subtracted)."""

    def __init__(self, like: Tensor) -> None:
        width = like.shape[1]
        self.count = 0
        self.mean = torch.zeros(width, dtype=torch.float64, device=like.device)
        self.scatter = torch.zeros(width, width, dtype=torch.float64, device=like.device)

    def add(self, rows: Tensor) -> None:
        new, total = len(rows), self.count + len(rows)
        mean = rows.mean(0)
        gap = mean - self.mean
        centred = rows - mean
        self.scatter.addmm_(centred.T, centred)
        self.scatter.add_(torch.outer(gap, gap), alpha=self.count * new / total)
        self.mean.add_(gap, alpha=new / total)
        self.count = total

    def covariance(self) -> Tensor:
        return self.scatter / self.count


def patches(module: nn.Module, x: Tensor) -> list[Tensor]:
    """What the filters of each group see: one row per place of the output, ordered as a flattened filter."""
    if isinstance(module, nn.Linear):
        return [x.reshape(-1, x.shape[-1])]
    conv: Any = module
    mode = "constant" if conv.padding_mode == "zeros" else conv.padding_mode
    x = F.pad(x, conv._reversed_padding_repeated_twice, mode=mode)
    size, stride, dilation = conv.kernel_size, conv.stride, conv.dilation
    if len(size) == 1:  # unfold takes pictures only
        x, size, stride, dilation = x.unsqueeze(2), (1, *size), (1, *stride), (1, *dilation)
    return [
        F.unfold(part, size, dilation=dilation, stride=stride).transpose(1, 2).flatten(0, 1)
        for part in x.chunk(conv.groups, dim=1)
    ]


def filters_by_group(module: nn.Module) -> list[Tensor]:
    """The filters of each group as rows."""
    weight: Tensor = module.weight.detach()  # type: ignore[operator]
    return list(weight.flatten(1).chunk(getattr(module, "groups", 1)))


def _span(covariance: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(covariance)
    kept = values > values[-1] * len(values) * torch.finfo(values.dtype).eps
    return vectors[:, kept].flip(1)


def _check(name: str, module: nn.Module) -> None:
    plain = isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d)
    if not plain or (isinstance(module, _ConvNd) and module.transposed):
        raise NormRegError(
            f"{name}: the inputs of a {type(module).__name__} cannot be gathered; Conv1d, Conv2d, Linear can"
        )
