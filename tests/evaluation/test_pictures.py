"""Pictures of scores: what is in them, and what is chosen to be drawn."""

import math
import re

import numpy as np
import pytest
from PIL import Image

from normreg_plugins.evaluation import (
    CountedImage,
    DetectedImage,
    Labelled,
    best,
    plot_bars,
    plot_confusion,
    plot_counted_images,
    plot_counts,
    plot_detected_images,
    plot_dots,
    plot_quartiles,
    plot_sheet,
    spread,
    worst,
)
from normreg_plugins.evaluation.confusion_plot import in_percent

GREY = np.full((24, 32, 3), 128, dtype=np.uint8)


def words_of(path):
    return path.read_text()


def test_bars_of_several_runs(tmp_path):
    path = tmp_path / "bars.svg"
    plot_bars({"wd": [0.25, math.nan], "wrs": [0.5, 0.75]}, ["cat", "dog"], path, label="IoU")
    text = words_of(path)
    assert all(word in text for word in ("wd", "wrs", "cat", "dog", "IoU", ">0.25<", ">0.75<", ">none<"))


def test_a_confusion_is_in_percent_of_the_true_class(tmp_path):
    counts = np.array([[3, 1], [0, 0]])
    np.testing.assert_array_equal(in_percent(counts), [[75, 25], [np.nan, np.nan]])
    path = tmp_path / "confusion.svg"
    plot_confusion({"wd": counts, "wrs": counts}, ["cat", "dog"], ["cat", "missed"], path, unit="boxes")
    text = words_of(path)
    assert all(word in text for word in (">75<", ">25<", "missed", "true class", "% of the boxes"))


def test_many_classes_have_no_numbers_and_a_bounded_size(tmp_path):
    names = [f"class {i}" for i in range(80)]
    path = tmp_path / "confusion.png"
    plot_confusion({"wd": np.eye(80, dtype=int)}, names, names, path, unit="boxes")
    with Image.open(path) as picture:
        assert max(picture.size) < 2000


def test_counts_with_nobody_and_below_zero(tmp_path):
    path = tmp_path / "counts.svg"
    plot_counts({"wrs": [-0.3, 12.0, 950.0]}, [0, 10, 1000], [100, 500], path)
    text = words_of(path)
    assert all(word in text for word in ("true count", "below 100 (2)", "from 500 (1)", ">1,000<", "all (3)"))
    assert "100 to 500" not in text  # no image is there


def test_the_worst_are_the_farthest_from_the_truth():
    assert worst([5, 90, 30], [10, 100, 29], 2) == [1, 0]
    assert worst([1], [1], 5) == [0]


def test_the_best_are_the_nearest_to_the_truth():
    assert best([5, 90, 30], [10, 100, 29], 2) == [2, 0]
    assert best([1], [1], 5) == [0]


def test_counted_images_with_and_without_a_density(tmp_path):
    points = np.array([[3.0, 4.0], [20.0, 10.0]])
    densities = {"wd": None, "wrs": np.ones((3, 4), dtype=np.float32)}
    image = CountedImage("street", GREY, points, {"wd": 1.0, "wrs": 12.0}, densities)
    plot_counted_images([image, image], tmp_path / "worst.svg")
    text = words_of(tmp_path / "worst.svg")
    assert all(word in text for word in ("street: 2 true", "wd: 1.0 (-1.0)", "wrs: 12.0 (+10.0)"))


def box(category, score=None, bbox=(2, 2, 10, 10)):
    return {"category_id": category, "bbox": list(bbox), **({} if score is None else {"score": score})}


def test_detections_on_their_image(tmp_path):
    pairs = [(box(1), box(1, 0.9)), (box(1), box(2, 0.8)), (None, box(2, 0.7)), (box(2), None)]
    image = DetectedImage("street", GREY, {"wrs": pairs})
    plot_detected_images([image], {1: "cat", 2: "dog"}, tmp_path / "boxes.svg")
    text = words_of(tmp_path / "boxes.svg")
    assert all(
        word in text for word in ("street, wrs: 3 mistakes", "cat 0.90", "dog 0.80 (is cat)", "dog 0.70", "missed")
    )


def test_a_sheet_of_boxes_points_and_masks(tmp_path):
    mask = np.zeros((24, 32), dtype=np.uint8)
    mask[4:12] = 1
    images = [
        Labelled("boxes", GREY, boxes=[([2, 2, 10, 10], "cat")]),
        Labelled("points", GREY, points=np.array([[3.0, 4.0]])),
        Labelled("mask", GREY, mask=mask),
    ]
    plot_sheet(images, tmp_path / "sheet.svg")
    text = words_of(tmp_path / "sheet.svg")
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
    names = re.findall(r'style="[^"]*fill: (#\w{6})[^"]*"[^>]*>(cat|ant)<', words_of(tmp_path / "sheet.svg"))
    assert len(names) == 3
    assert len(set(names)) == 2


@pytest.mark.parametrize(("number", "shown", "places"), [(10, 3, [0, 4, 9]), (2, 5, [0, 1]), (0, 4, [])])
def test_images_are_spread_over_a_set(number, shown, places):
    assert spread(number, shown) == places


def test_dots_and_quartiles(tmp_path):
    plot_dots({"mAP": {"wd": [0.1, 0.3], "wrs": [0.4]}, "F1": {"wd": [0.1, 0.3], "wrs": [0.4]}}, tmp_path / "dots.svg")
    text = words_of(tmp_path / "dots.svg")
    assert all(word in text for word in ("mAP: each seed", "F1: each seed", "wd", "wrs"))
    plot_quartiles({"a": [1.0, 1.0], "b": [30.0, 40.0, 50.0]}, tmp_path / "time.svg", label="ms", reference=1.0)
    text = words_of(tmp_path / "time.svg")
    assert all(word in text for word in (">40<", "ms; median and quartiles"))


@pytest.mark.parametrize("draw", [lambda path: plot_dots({"mAP": {"wd": [0.1]}}, path)])
def test_other_formats_are_refused(tmp_path, draw):
    with pytest.raises(ValueError, match=r"\.png or \.svg"):
        draw(tmp_path / "dots.jpg")
