"""scikit-learn's real digits: pictures to learn from and to test on, and a training on random batches."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

LEARNED, BATCH = 400, 32
"""LEARNED of the 1,797 pictures are learned from; all others are tested on."""


@cache
def _all_digits() -> tuple[Tensor, Tensor]:
    data = load_digits()
    return torch.tensor(data.images, dtype=torch.float32).unsqueeze(1) / 16, torch.tensor(data.target)


def digits(seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Pictures and labels to learn from, and pictures and labels to test on. Each seed draws its own split."""
    images, labels = _all_digits()
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    learned, tested = order[:LEARNED], order[LEARNED:]
    return images[learned], labels[learned], images[tested], labels[tested]


def training(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    seed: int,
    updates: int,
    schedule: torch.optim.lr_scheduler.LRScheduler | None = None,
    random_labels: float = 0.0,
) -> Iterator[tuple[int, Tensor]]:
    """Train on random batches, and yield after each update its number and its loss.

    Args:
        random_labels: the fraction of labels that are drawn at random in each batch. On clean digits the gradient
            vanishes, so the norms of filters reach no equilibrium.
    """
    all_images, all_labels, _, _ = digits(seed)
    for update in range(1, updates + 1):
        drawn = torch.randint(len(all_images), (BATCH,))
        images, labels = all_images[drawn], all_labels[drawn]
        if random_labels:
            noise = torch.randint(10, labels.shape)
            labels = torch.where(torch.rand(labels.shape) < random_labels, noise, labels)
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        if schedule is not None:
            schedule.step()
        yield update, loss


@torch.no_grad()
def tested_accuracy(model: nn.Module, seed: int) -> float:
    """In %. The model is in training mode afterwards."""
    _, _, images, labels = digits(seed)
    correct = model.eval()(images).argmax(1) == labels
    model.train()
    return 100 * correct.float().mean().item()
