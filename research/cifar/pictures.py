"""The pictures of CIFAR-10, decoded once per process and stored as bytes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch import Tensor

FILE = "cifar10_jpeg.npz"
HELD_BACK = 5_000
"""How many pictures at the end of the training part nothing is trained on, so that rates can be chosen on them."""
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""What the public checkpoints of the CIFAR ResNets were trained with."""
PADDED = 4


@dataclass(frozen=True)
class Pictures:
    images: Tensor
    """N x 3 x 32 x 32 bytes, or clouds of N x 3 x points floats."""
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def some(self, chosen: Tensor | slice) -> Pictures:
        return Pictures(self.images[chosen], self.labels[chosen])


def decode(jpegs: np.ndarray, ends: np.ndarray) -> Tensor:
    """Picture i is the JPEG from ends[i - 1] to ends[i]."""
    starts = np.concatenate([[0], ends[:-1]])
    images = [np.asarray(Image.open(io.BytesIO(jpegs[a:b].tobytes()))) for a, b in zip(starts, ends)]
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()


@lru_cache(maxsize=2)
def read_pictures(folder: Path, split: str) -> Pictures:
    """All pictures of 'train' or 'test' from what prepare_cifar_jpeg wrote."""
    path = folder / FILE
    if not path.is_file():
        raise FileNotFoundError(f"there is no {path}: python -m research.prepare_cifar_jpeg makes it")
    with np.load(path, allow_pickle=False) as packed:
        images = decode(packed[f"{split}_jpeg"], packed[f"{split}_ends"])
        return Pictures(images, torch.from_numpy(packed[f"{split}_labels"].astype(np.int64)))


@dataclass(frozen=True)
class Parts:
    learned: Pictures
    validated: Pictures
    tested: Pictures


def parts(folder: Path, learned: int, validated: int, tested: int, seed: int, seen: bool) -> Parts:
    """So many pictures to learn from, which the seed draws, and to choose rates and to test on, always the same.

    Args:
        seen: the net begins from weights that were trained on the whole training part. It would be best on what it
            has seen, so the pictures to choose rates on are the first of the test part, and the others are tested.
    """
    train, test = read_pictures(folder, "train"), read_pictures(folder, "test")
    others = len(train) - min(HELD_BACK, len(train) // 5)
    if not 0 < learned <= (len(train) if seen else others):
        raise ValueError(f"pictures={learned}: there are {len(train) if seen else others} to learn from")
    among = torch.randperm(len(train) if seen else others, generator=torch.Generator().manual_seed(seed))
    held_back = test.some(slice(validated)) if seen else train.some(slice(others, others + validated))
    rest = test.some(slice(validated, validated + tested)) if seen else test.some(slice(tested))
    return Parts(train.some(among[:learned]), held_back, rest)


def digit_parts(learned: int, validated: int, tested: int, seed: int) -> Parts:
    """The same of scikit-learn's 1,797 digits: 8 x 8 pixels, three equal channels. Each seed draws its own parts."""
    data = load_digits()
    images = torch.from_numpy(data.images * (255 / data.images.max())).to(torch.uint8)
    digits = Pictures(images.unsqueeze(1).repeat(1, 3, 1, 1), torch.from_numpy(data.target))
    if learned + validated >= len(digits):
        raise ValueError(
            f"pictures={learned}, validated={validated}: there are {len(digits)} digits, and some are tested"
        )
    order = torch.randperm(len(digits), generator=torch.Generator().manual_seed(seed))
    learned_ones, held_back, rest, _ = order.tensor_split((learned, learned + validated, learned + validated + tested))
    return Parts(digits.some(learned_ones), digits.some(held_back), digits.some(rest))


def as_input(images: Tensor) -> Tensor:
    """Bytes as the numbers that the nets see. Clouds are such numbers."""
    if images.is_floating_point():
        return images
    mean, std = (torch.tensor(each, device=images.device).view(3, 1, 1) for each in (MEAN, STD))
    return (images.float() / 255 - mean) / std


def augmented(images: Tensor) -> Tensor:
    """Each picture flipped or not, and moved by up to 4 pixels, as He et al. do."""
    count, _, height, width = images.shape
    flips = torch.rand(count, device=images.device) < 0.5
    flipped = torch.where(flips.view(-1, 1, 1, 1), images.flip(3), images)
    padded = torch.nn.functional.pad(flipped, (PADDED,) * 4)
    down, right = torch.randint(2 * PADDED + 1, (2, count, 1), device=images.device)
    rows = (down + torch.arange(height, device=images.device)).view(count, 1, height, 1)
    columns = (right + torch.arange(width, device=images.device)).view(count, 1, 1, width)
    which = torch.arange(count, device=images.device).view(count, 1, 1, 1)
    channels = torch.arange(images.shape[1], device=images.device).view(1, -1, 1, 1)
    return padded[which, channels, rows, columns]


def batches(pictures: Pictures, size: int, epochs: float) -> Iterator[Pictures]:
    """Shuffled batches of so many epochs; the last and smaller one of an epoch is left out."""
    each = max(1, len(pictures) // size)
    left = round(each * epochs)
    while left > 0:
        order = torch.randperm(len(pictures))[: each * size].split(size)
        for chosen in order[:left]:
            yield pictures.some(chosen)
        left -= each
