"""Pictures of every kind."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from normreg_plugins.crowd.data import ORIENTATION, UnreadableImageError, read_rgb, stored_rotated

RAMP = np.linspace(0, 255, 12, dtype=np.uint8).reshape(3, 4)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "CMYK", "1", "YCbCr"])
def test_eight_bit_modes(tmp_path, mode):
    grey = Image.fromarray(np.where(RAMP > 127, 255, 0).astype(np.uint8))
    path = tmp_path / ("picture.tif" if mode in ("CMYK", "YCbCr") else "picture.png")
    grey.convert("RGB").convert(mode).save(path)
    image = read_rgb(path)
    assert (image.shape, image.dtype) == ((3, 4, 3), np.uint8)
    np.testing.assert_allclose(image[..., 0], np.asarray(grey), atol=2)


def test_cmyk_jpeg_keeps_its_colours(tmp_path):
    colour = Image.new("RGB", (16, 16), (200, 40, 90))
    colour.convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    np.testing.assert_allclose(read_rgb(tmp_path / "a.jpg")[8, 8], (200, 40, 90), atol=6)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_are_scaled_and_not_clipped(tmp_path, suffix):
    Image.fromarray(RAMP.astype(np.uint16) * 257).save(tmp_path / f"deep.{suffix}")
    np.testing.assert_array_equal(read_rgb(tmp_path / f"deep.{suffix}")[..., 0], RAMP)


def test_exif_orientation_only_when_asked(tmp_path):
    exif = Image.Exif()
    exif[ORIENTATION] = 6  # turn by 90 degrees to see it upright
    Image.fromarray(RAMP).convert("RGB").save(tmp_path / "turned.jpg", exif=exif, quality=95)
    assert stored_rotated(tmp_path / "turned.jpg")
    assert read_rgb(tmp_path / "turned.jpg").shape == (3, 4, 3)
    upright = read_rgb(tmp_path / "turned.jpg", upright=True)
    np.testing.assert_allclose(upright[..., 0], np.rot90(RAMP, -1), atol=12)


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


def test_a_picture_that_would_fill_the_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5)
    Image.fromarray(RAMP).save(tmp_path / "bomb.png")
    with pytest.raises(UnreadableImageError, match="bomb"):
        read_rgb(tmp_path / "bomb.png")
