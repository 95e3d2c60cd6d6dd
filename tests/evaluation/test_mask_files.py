"""Masks come back as they were saved, in the colours of PASCAL VOC."""

import numpy as np
import pytest
from PIL import Image

from normreg_plugins.evaluation import MaskError, read_mask, save_mask
from normreg_plugins.evaluation.mask_files import voc_palette


def test_a_mask_comes_back_as_it_was_saved(tmp_path):
    labels = np.arange(256, dtype=np.uint8).reshape(8, 32)
    for palette in (None, [[9, 9, 9]] * 256):
        save_mask(labels, tmp_path / "mask.png", palette)
        assert (read_mask(tmp_path / "mask.png") == labels).all()
    assert [path.name for path in tmp_path.iterdir()] == ["mask.png"]


def test_a_coloured_picture_is_no_mask(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "rgb.png")
    with pytest.raises(MaskError, match=r"rgb.png is a picture of mode RGB, not of one label per pixel"):
        read_mask(tmp_path / "rgb.png")


@pytest.mark.mm
def test_the_palette_is_vocs():
    from mmseg.datasets import PascalVOCDataset

    assert [list(colour) for colour in voc_palette()[:21]] == PascalVOCDataset.METAINFO["palette"]
    assert voc_palette()[255] == [224, 224, 192]
