"""Small pictures of a data set with their labels."""

import re

import numpy as np
import pytest
from PIL import Image

from normreg_plugins.cli.data.contact_sheet import Labelled, plot_sheet

GREY = np.full((24, 32, 3), 128, dtype=np.uint8)


def test_a_sheet_of_boxes_points_and_masks(tmp_path):
    mask = np.zeros((24, 32), dtype=np.uint8)
    mask[4:12] = 1
    images = [
        Labelled("boxes", GREY, boxes=[([2, 2, 10, 10], "cat")]),
        Labelled("points", GREY, points=np.array([[3.0, 4.0]])),
        Labelled("mask", GREY, mask=mask),
    ]
    plot_sheet(images, tmp_path / "sheet.svg")
    text = (tmp_path / "sheet.svg").read_text()
    assert all(word in text for word in ("boxes", "points", "mask", "cat"))
    plot_sheet(images[2:], tmp_path / "mask.png")
    with Image.open(tmp_path / "mask.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    reddish = (pixels[:, 0] > 110) & (pixels[:, 1] < 90)  # half of VOC's first colour over grey
    assert reddish.any()
    assert (pixels == 128).all(1).any()  # the background stays as it is
    with pytest.raises(ValueError, match="no image"):
        plot_sheet([], tmp_path / "none.png")


def test_a_class_has_one_colour_on_the_whole_sheet(tmp_path):
    box = (2, 2, 9, 9)
    images = [Labelled("one", GREY, boxes=[(box, "cat")]), Labelled("two", GREY, boxes=[(box, "ant"), (box, "cat")])]
    plot_sheet(images, tmp_path / "sheet.svg")
    names = re.findall(r'style="[^"]*fill: (#\w{6})[^"]*"[^>]*>(cat|ant)<', (tmp_path / "sheet.svg").read_text())
    assert len(names) == 3
    assert len(set(names)) == 2
