"""Density maps of whole images, of any size: a large one tile by tile, to the same result."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from normreg_plugins.crowd.csrnet import STRIDE, receptive_radius


@torch.no_grad()
def predict_density(model: Callable[[Tensor], Tensor], image: Tensor, tile: int | None = None) -> Tensor:
    """The density map [ceil(H / 8), ceil(W / 8)] of one normalized image [3, H, W].

    Memory grows with the image: the first layers alone hold 64 channels of every pixel twice, which
    is half a gigabyte per megapixel. With `tile`, the map is put together from squares of that many
    pixels, each with all the surroundings that its cells can see. In eval mode, with batch norm or
    without norms, that is the same map.

    Args:
        model: a CSRNet, or a callable that takes and gives what one does.
    """
    height, width = image.shape[-2:]
    if tile is None or max(height, width) <= tile:
        return model(image[None])[0, 0]
    if tile < STRIDE:
        raise ValueError(f"a tile must be at least {STRIDE} pixels, got {tile}")
    tile -= tile % STRIDE
    rows = [
        torch.cat([_tile(model, image, y, x, tile) for x in range(0, width, tile)], dim=1)
        for y in range(0, height, tile)
    ]
    return torch.cat(rows)


def _tile(model: Callable[[Tensor], Tensor], image: Tensor, y: int, x: int, tile: int) -> Tensor:
    """The cells of the square whose upper left pixel is (x, y)."""
    height, width = image.shape[-2:]
    margin = receptive_radius()
    top, left = max(0, y - margin), max(0, x - margin)
    seen = image[:, top : y + tile + margin, left : x + tile + margin]
    first_row, first_column = (y - top) // STRIDE, (x - left) // STRIDE
    rows, columns = (-(-min(tile, end) // STRIDE) for end in (height - y, width - x))
    density = model(seen[None])[0, 0]
    return density[first_row : first_row + rows, first_column : first_column + columns]
