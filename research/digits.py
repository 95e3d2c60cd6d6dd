"""scikit-learn's real digits, to learn from and to be tested on."""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

LEARNED = 400
"""How many of the 1,797 images are learned from; all others are tested on."""


def digits(seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Images and labels to learn from, and images and labels to test on. Each seed draws its own split."""
    data = load_digits()
    images = torch.tensor(data.images, dtype=torch.float32).unsqueeze(1) / 16
    labels = torch.tensor(data.target)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    learned, tested = order[:LEARNED], order[LEARNED:]
    return images[learned], labels[learned], images[tested], labels[tested]


@torch.no_grad()
def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """In %."""
    return 100 * (model(images).argmax(1) == labels).float().mean().item()
