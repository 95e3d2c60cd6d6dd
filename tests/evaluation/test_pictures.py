"""Pictures of scores: what is in them, and what is chosen to be drawn."""

import numpy as np
import pytest

from normreg_plugins.evaluation.counting import CountedImage, overlay, plot_counted_images, ranked
from normreg_plugins.evaluation.detection_pictures import DetectedImage, plot_detected_images
from normreg_plugins.evaluation.segmentation import Row, plot_rows

GREY = np.full((24, 32, 3), 128, dtype=np.uint8)


def words_of(path):
    return path.read_text()


def test_the_best_are_the_nearest_to_the_truth_and_the_worst_the_farthest():
    assert ranked([5, 90, 30], [10, 100, 29], best=True) == [2, 0, 1]
    assert ranked([5, 90, 30], [10, 100, 29], best=False) == [1, 0, 2]


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


def test_predicted_masks_beside_the_truth(tmp_path):
    truth = np.array([[0, 1], [1, 255]], dtype=np.uint8).repeat(12, 0).repeat(16, 1)
    row = Row("street", GREY, truth, {"wd": np.zeros_like(truth), "wrs": truth})
    plot_rows([row, row], ["road", "tree", "car"], [(128, 64, 128), (0, 128, 0), (0, 0, 142)], tmp_path / "masks.svg")
    text = words_of(tmp_path / "masks.svg")
    assert all(word in text for word in ("street", "truth", "wd", "wrs", "road", "tree", "ignored"))
    assert "car" not in text  # occurs nowhere


@pytest.mark.parametrize("size", [(97, 411), (60, 90), (700, 513)])
def test_the_density_is_drawn_where_it_is_and_the_rest_stays(size):
    height, width = size
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    density = np.zeros((-(-height // 8), -(-width // 8)), dtype=np.float32)
    density[5, 9] = 2.0  # the cell whose centre is (76, 44)
    drawn = overlay(image, density, "predicted 2.0")
    assert drawn.dtype == np.uint8
    assert drawn.shape[1] == max(width, 320)
    body = drawn[-height:, :width].astype(int)
    rows, columns = np.nonzero(np.abs(body - image).sum(2) > 60)
    assert abs(rows.mean() - 44) < 3
    assert abs(columns.mean() - 76) < 3
    far = np.ones((height, width), dtype=bool)
    far[20:70, 50:100] = False
    assert np.abs(body - image)[far].max() <= 1
    title = drawn[: drawn.shape[0] - height]
    assert (title < 100).any()
    assert (title[:, -4:] == 255).all()  # the title fits
