"""Counting the people in one picture with a trained network: `count(picture, checkpoint)`."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from normreg_plugins.crowd.network import CSRNet
from normreg_plugins.files import DamagedFileError, load_checkpoint

if TYPE_CHECKING:
    from numpy.typing import NDArray

NORMS = {"BN": nn.BatchNorm2d, "SyncBN": nn.BatchNorm2d, "NormRegFoldedNorm": None}
CONVS = ("Conv2d", "NormRegFoldedConv2d")


class Counted(NamedTuple):
    number: float
    density: NDArray[Any]
    """The density map, one cell for 8 x 8 pixels of the resized picture. Its sum is the number."""


@dataclass(frozen=True)
class Counter:
    """A trained network, with the mean and the standard deviation of the colours that it was trained on."""

    network: nn.Module
    mean: Tensor
    std: Tensor

    @torch.no_grad()
    def __call__(self, pixels: NDArray[Any]) -> Counted:
        """Count in an RGB picture [H, W, 3] as it is."""
        image = torch.from_numpy(pixels.transpose(2, 0, 1).copy()).to(self.mean)
        density = self.network(((image - self.mean) / self.std)[None])[0, 0]
        return Counted(density.double().sum().item(), density.float().cpu().numpy())


def count(
    picture: Path | str, checkpoint: Path | str | Counter, shorter_side: tuple[int, int] | None = None
) -> Counted:
    """The number of people in a picture, and the density map.

        number, density = count("photo.jpg", "best_count_MAE_epoch_300.pth")

    Args:
        checkpoint: what `normreg train configs/csrnet_wrs.py` saved; or the result of `load_counter`, for many
            pictures or for another device.
        shorter_side: the picture is first resized to these bounds of its shorter side, as the training data was.
            Default: 512 to 2048.
    """
    from normreg_plugins.crowd.data.images import SHORTER_SIDE, bounded, read_rgb

    counter = checkpoint if isinstance(checkpoint, Counter) else load_counter(checkpoint)
    return counter(bounded(read_rgb(picture, upright=True), shorter_side or SHORTER_SIDE))


def load_counter(checkpoint: Path | str, device: str | torch.device = "cpu") -> Counter:
    """The CSRNet of a checkpoint, which has its config. Nothing but weights is read.

    This needs no mmengine, so it builds plain convolutions with batch norm or without. Other layers can be folded into
    those first: `normreg fold-checkpoint CONFIG IN OUT`.
    """
    path = Path(checkpoint)
    saved = load_checkpoint(path)
    settings = _model_settings(saved["meta"].get("cfg", ""), path)
    network = _network(settings["backbone"], path)
    prefix = "backbone."
    weights = {k.removeprefix(prefix): v for k, v in saved["state_dict"].items() if k.startswith(prefix)}
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise DamagedFileError(f"{path}: its weights do not belong to its config:\n{error}") from error
    colours = settings.get("data_preprocessor") or {}
    return Counter(
        network.to(device).eval(),
        colour(colours.get("mean") or [0.0], device),
        colour(colours.get("std") or [1.0], device),
    )


def colour(values: Sequence[float], device: str | torch.device) -> Tensor:
    return torch.tensor(values, dtype=torch.float32, device=device).view(-1, 1, 1)


def _model_settings(text: str, path: Path) -> dict[str, Any]:
    """`model = dict(...)` in the text of a config."""
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "model":
            settings = _value(node.value)
            if settings.get("backbone", {}).get("type") == "CSRNet":
                return settings
    raise DamagedFileError(f"{path} has no config of a CSRNet: give a checkpoint that `normreg train` saved")


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Call):  # dict(a=1)
        return {each.arg: _value(each.value) for each in node.keywords}
    return ast.literal_eval(node)


def _network(settings: dict[str, Any], path: Path) -> CSRNet:
    norm, conv = ((settings.get(key) or {}).get("type") for key in ("norm_cfg", "conv_cfg"))
    if norm not in (None, *NORMS) or conv not in (None, *CONVS):
        raise ValueError(
            f"{path}: count() builds plain convolutions with batch norm or without, not norm {norm} and conv {conv}. "
            "Fold these layers first: normreg fold-checkpoint CONFIG IN OUT; or use: normreg count"
        )
    return CSRNet(NORMS[norm] if norm else None, output=settings.get("output", "abs"), width=settings.get("width", 1.0))
