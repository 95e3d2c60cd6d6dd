"""ImageNet weights of VGG16 for the front of CSRNet, from torchvision's files, mapped by layer."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from normreg_plugins.crowd.csrnet import FRONT, CSRNet

# Where torchvision keeps each convolution: `features.N`. With batch norm, the norm is `features.N+1`.
VGG16 = dict(zip(FRONT, (0, 2, 5, 7, 10, 12, 14, 17, 19, 21), strict=True))
VGG16_BN = dict(zip(FRONT, (0, 3, 7, 10, 14, 17, 20, 24, 27, 30), strict=True))
FILES = {"vgg16": "vgg16-397923af.pth", "vgg16_bn": "vgg16_bn-6c64b313.pth"}

logger = logging.getLogger(__name__)


class WeightFileError(ValueError):
    """A weight file that is not torchvision's VGG16, or does not fit the net."""


def load_vgg16(model: CSRNet, source: str | Path) -> None:
    """Give the front of a CSRNet the weights of torchvision's VGG16 or VGG16-BN.

    A net without norms takes vgg16 as it is. A net with batch norm takes vgg16_bn with all its
    statistics, and then computes what VGG16-BN does; a bias that its convolutions do not have goes
    into the running mean. Any net with norms takes the bare convolutions of vgg16: then the fresh
    norms make another function of them until they are trained.

    Args:
        source: a file; or 'vgg16' or 'vgg16_bn' (in mm's spelling: 'torchvision://vgg16_bn'), which
            means torchvision's file in torch's cache. Nothing is downloaded.
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
            "%s has no batch norm: the front starts with its filters and fresh norms, which is not "
            "the function that was trained on ImageNet. vgg16_bn would be, for a net with BN.",
            path.name,
        )


def find_weights(source: str | Path) -> Path:
    """The file that `source` means."""
    cache = Path(torch.hub.get_dir()) / "checkpoints"
    name = str(source).removeprefix("torchvision://")
    path = cache / FILES[name] if name in FILES else Path(source).expanduser()
    if path.is_file():
        return path
    name = name if name in FILES else "vgg16_bn"
    raise FileNotFoundError(
        f"{path}: no such weight file. On a machine with a network, this puts it into torch's "
        f"cache: python -c \"import torchvision; torchvision.models.{name}(weights='DEFAULT')\". "
        f"Or give the path of the file; or no weights at all, to train from scratch."
    )


def _read(path: Path) -> Mapping[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever torch meets in a file that is not its own
        raise WeightFileError(f"{path}: cannot be read as a weight file: {error}") from error
    state = state.get("state_dict", state) if isinstance(state, Mapping) else {}
    if "features.0.weight" not in state:
        raise WeightFileError(f"{path}: this is not torchvision's vgg16 or vgg16_bn; features.0.weight is missing")
    return state


def _copy(module: nn.Module, names: tuple[str, ...], state: Mapping[str, Tensor], prefix: str, path: Path) -> None:
    """Copy those of the named parameters and buffers that the module has."""
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
            f"{path} is a VGG16 with batch norm, but this net has {norm} after its convolutions; take vgg16 instead"
        )
    names = ("weight", "bias", "running_mean", "running_var")
    _copy(norm, names, state, f"features.{index + 1}", path)
    if block.get_submodule("conv").bias is None and norm.running_mean is not None:
        norm.running_mean -= state[f"features.{index}.bias"]
