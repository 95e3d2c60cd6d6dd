"""Loads ImageNet weights of VGG16 from torchvision's files into the front of CSRNet, layer by layer."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from normreg_plugins.crowd.network.csrnet import FRONT, CSRNet

# The index N of each convolution in torchvision's `features.N`. Its batch norm, if there is one, is `features.N+1`.
VGG16 = dict(zip(FRONT, (0, 2, 5, 7, 10, 12, 14, 17, 19, 21), strict=True))
VGG16_BN = dict(zip(FRONT, (0, 3, 7, 10, 14, 17, 20, 24, 27, 30), strict=True))
FILES = {"vgg16": "vgg16-397923af.pth", "vgg16_bn": "vgg16_bn-6c64b313.pth"}

logger = logging.getLogger(__name__)


class WeightFileError(ValueError):
    """A weight file that is not of torchvision's VGG16, or does not fit the network."""


def load_vgg16(model: CSRNet, source: str | Path) -> None:
    """Copy the weights of torchvision's VGG16 or VGG16-BN into the front of a CSRNet.

    - A network without norm layers takes vgg16, and its front then computes what VGG16 does.
    - A network with batch norm takes vgg16_bn with its running statistics, and its front then computes what VGG16-BN
      does. Its convolutions have no bias, so the biases of the file are subtracted from the running means.
    - A network with any norm layers can also take vgg16. Its norm layers stay as they are, so its front computes
      another function until it is trained.

    Args:
        source: a path; or 'vgg16' or 'vgg16_bn' (in mm's spelling: 'torchvision://vgg16_bn') for
            torchvision's file in torch's cache. Nothing is downloaded.
    """
    path = find_weights(source)
    state = _read(path)
    with_norms = "features.1.weight" in state
    for name, index in (VGG16_BN if with_norms else VGG16).items():
        block = model.front.get_submodule(name)
        _copy(block.get_submodule("conv"), ("weight", "bias"), state, f"features.{index}", path)
        if with_norms:
            _copy_norm(block, state, index, path)
    if not with_norms and hasattr(model.front.get_submodule("conv1_1"), "norm"):
        logger.warning(
            "%s has no batch norm: the front starts with its filters and fresh norm layers, which is not the "
            "function that was trained on ImageNet. For a network with batch norm, vgg16_bn is.",
            path.name,
        )


def find_weights(source: str | Path) -> Path:
    """The path of the file that `source` names."""
    cache = Path(torch.hub.get_dir()) / "checkpoints"
    name = str(source).removeprefix("torchvision://")
    path = cache / FILES[name] if name in FILES else Path(source).expanduser()
    if path.is_file():
        return path
    name = name if name in FILES else "vgg16_bn"
    raise FileNotFoundError(
        f"{path}: no such weight file. With an internet connection, this command puts it into torch's cache: "
        f"python -c \"import torchvision; torchvision.models.{name}(weights='DEFAULT')\". "
        f"Otherwise give the path of the file, or no weights, to train from scratch."
    )


def _read(path: Path) -> Mapping[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds of exceptions for files of other formats
        raise WeightFileError(f"{path}: cannot be read as a weight file: {error}") from error
    state = state.get("state_dict", state) if isinstance(state, Mapping) else {}
    if "features.0.weight" not in state:
        raise WeightFileError(f"{path}: this is not torchvision's vgg16 or vgg16_bn; features.0.weight is missing")
    return state


def _copy(module: nn.Module, names: tuple[str, ...], state: Mapping[str, Tensor], prefix: str, path: Path) -> None:
    """Copy the named parameters and buffers, except those that are None in the module."""
    for name in names:
        value = getattr(module, name)
        if value is None:
            continue
        key = f"{prefix}.{name}"
        if key not in state or state[key].shape != value.shape:
            found = f"has shape {list(state[key].shape)}" if key in state else "is missing"
            raise WeightFileError(f"{path}: {key} {found}, but {list(value.shape)} is needed")
        value.data.copy_(state[key])


def _copy_norm(block: nn.Module, state: Mapping[str, Tensor], index: int, path: Path) -> None:
    norm = getattr(block, "norm", None)
    if not isinstance(norm, _BatchNorm):
        raise WeightFileError(
            f"{path} is a VGG16 with batch norm, but this network has {norm} after its convolutions; take vgg16 instead"
        )
    names = ("weight", "bias", "running_mean", "running_var")
    _copy(norm, names, state, f"features.{index + 1}", path)
    if block.get_submodule("conv").bias is None and norm.running_mean is not None:
        norm.running_mean -= state[f"features.{index}.bias"]
