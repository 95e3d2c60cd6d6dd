"""Pictures of every kind, and people who stay on their pixels when a picture is resized, cropped or flipped."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from normreg_plugins.crowd.data.images import (
    LONGEST_SIDE,
    UnreadableImageError,
    bounded_size,
    read_rgb,
    visible_share,
)

RAMP = np.linspace(0, 255, 12, dtype=np.uint8).reshape(3, 4)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "CMYK", "1", "YCbCr"])
def test_eight_bit_modes(tmp_path, mode):
    grey = Image.fromarray(np.where(RAMP > 127, 255, 0).astype(np.uint8))
    path = tmp_path / ("picture.tif" if mode in ("CMYK", "YCbCr") else "picture.png")
    grey.convert("RGB").convert(mode).save(path)
    image = read_rgb(path)
    assert (image.shape, image.dtype) == ((3, 4, 3), np.uint8)
    np.testing.assert_allclose(image[..., 0], np.asarray(grey), atol=2)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_are_scaled_and_not_clipped(tmp_path, suffix):
    Image.fromarray(RAMP.astype(np.uint16) * 257).save(tmp_path / f"deep.{suffix}")
    np.testing.assert_array_equal(read_rgb(tmp_path / f"deep.{suffix}")[..., 0], RAMP)


def test_unreadable_pictures_are_named(tmp_path):
    Image.fromarray(RAMP).resize((400, 300)).save(tmp_path / "whole.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:2000])
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "empty.jpg").write_bytes(b"")
    Image.fromarray(RAMP.astype(np.float32)).save(tmp_path / "float.tif")
    for name in ("cut.jpg", "text.jpg", "empty.jpg", "float.tif"):
        with pytest.raises(UnreadableImageError, match=name):
            read_rgb(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        read_rgb(tmp_path / "missing.jpg")


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1000, 800), (1000, 800)),
        ((400, 300), (683, 512)),
        ((9000, 6000), (3072, 2048)),
        ((1, 1), (512, 512)),
    ],
)
def test_the_shorter_side_comes_within_bounds(size, expected):
    assert bounded_size(*size) == expected


@pytest.mark.parametrize("size", [(3000, 10), (1, 100_000), (50_000, 40_000)])
def test_no_shape_makes_a_picture_too_large(size):
    width, height = bounded_size(*size)
    assert max(width, height) <= LONGEST_SIDE
    assert min(width, height) >= 1
    if min(width, height) > 10:
        assert abs(np.log(width / height) - np.log(size[0] / size[1])) < 0.1


def people(*rows):
    return np.array(rows, dtype=np.float32)


def test_visible_share_by_hand():
    rows = people(
        [50, 50, 10],  # wholly inside
        [10, 50, 10],  # on the left edge: half
        [10, 20, 10],  # on a corner: a quarter
        [7, 50, 10],  # centre outside, a fifth seen
        [4, 50, 10],  # not seen
        [50, 50, 1],  # a head is at least 4 wide
        [12, 50, np.inf],  # a lone person's head is at most 40: 22 of 40 columns
    )
    share = visible_share(rows, left=10, top=20, width=100, height=100, head=(4, 40))
    np.testing.assert_allclose(share, [1, 0.5, 0.25, 0.2, 0, 1, 22 / 40], rtol=1e-6)
