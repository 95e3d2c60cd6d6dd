"""Predicts the density map of an image of any size, a large one tile by tile with the same result."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from normreg_plugins.crowd.network.csrnet import STRIDE, receptive_radius


@torch.no_grad()
def predict_density(model: Callable[[Tensor], Tensor], image: Tensor, tile: int | None = None) -> Tensor:
    """The density map [ceil(H / 8), ceil(W / 8)] of one normalized image [3, H, W].

    Memory grows with the image: the first layers hold 64 channels of every pixel twice, half a gigabyte per megapixel.
    With `tile`, the map is assembled from square tiles. Each tile is computed with all surrounding pixels that its
    cells see. In eval mode the map is the same as without tiles if the norm layers are batch norms or absent.

    Args:
        model: a CSRNet, or a function that maps images as CSRNet does.
        tile: side of the tiles in pixels. Default: the whole image at once.
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
