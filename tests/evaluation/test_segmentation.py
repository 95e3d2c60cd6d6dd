"""Scores against a loop over pixels and against mmseg's own metric; masks come back as they were saved."""

import numpy as np
import pytest
from PIL import Image

from normreg_plugins.evaluation.segmentation import MaskError, confusion, read_mask, save_mask, scores, voc_palette

CLASSES = 5


def drawn_masks(seed, count=4):
    """Truth with ignored pixels and without class 4, and predictions that are right about half the time."""
    rng = np.random.default_rng(seed)
    for size in rng.integers(5, 30, (count, 2)):
        truth = rng.choice([0, 1, 2, 3, 255], size, p=[0.5, 0.2, 0.1, 0.1, 0.1]).astype(np.uint8)
        predicted = rng.integers(0, CLASSES - 1, size).astype(np.uint8)
        right = rng.random(size) < 0.5
        yield truth, np.where(right & (truth != 255), truth, predicted).astype(np.uint8)


def by_hand(pairs):
    """IoU and accuracy of each class and pixel accuracy, pixel by pixel."""
    both, true, said = ([0] * CLASSES for _ in range(3))
    for truth, predicted in pairs:
        for t, p in zip(truth.flat, predicted.flat, strict=True):
            if t != 255:
                true[t] += 1
                said[p] += 1
                both[t] += t == p
    union = [t + s - b for t, s, b in zip(true, said, both, strict=True)]
    iou = [b / u if u else np.nan for b, u in zip(both, union, strict=True)]
    accuracy = [b / t if t else np.nan for b, t in zip(both, true, strict=True)]
    return iou, accuracy, sum(both) / sum(true)


@pytest.mark.parametrize("seed", range(3))
def test_scores_are_those_counted_by_hand(seed):
    pairs = list(drawn_masks(seed))
    found = scores(sum(confusion(*pair, CLASSES) for pair in pairs))
    iou, accuracy, pixel_accuracy = by_hand(pairs)
    np.testing.assert_allclose(found.iou, iou)
    np.testing.assert_allclose(found.accuracy, accuracy)
    assert found.pixel_accuracy == pytest.approx(pixel_accuracy)
    assert found.mean_iou == pytest.approx(np.nanmean(iou))
    assert np.isnan(found.iou[4])


@pytest.mark.parametrize(
    ("truth", "predicted", "words"),
    [
        ([[0, 1]], [[0], [1]], "the prediction is 1 x 2, the truth 2 x 1"),
        ([[0, 7]], [[0, 1]], "the truth has label 7; there are 5 classes, 0 to 4"),
        ([[0, 1]], [[0, -1]], "the prediction has label -1"),
    ],
)
def test_masks_that_do_not_fit_are_refused(truth, predicted, words):
    with pytest.raises(MaskError, match=words):
        confusion(np.array(truth), np.array(predicted), CLASSES)
    with pytest.raises(MaskError, match="no pixel counts"):
        scores(confusion(np.full((2, 2), 255), np.zeros((2, 2), int), CLASSES))


def test_a_mask_comes_back_as_it_was_saved_and_a_coloured_picture_is_none(tmp_path):
    labels = np.arange(256, dtype=np.uint8).reshape(8, 32)
    for palette in (None, [[9, 9, 9]] * 256):
        save_mask(labels, tmp_path / "mask.png", palette)
        assert (read_mask(tmp_path / "mask.png") == labels).all()
    Image.new("RGB", (4, 4)).save(tmp_path / "rgb.png")
    with pytest.raises(MaskError, match=r"rgb.png is a picture of mode RGB, not of one label per pixel"):
        read_mask(tmp_path / "rgb.png")


@pytest.mark.mm
def test_the_palette_is_vocs():
    from mmseg.datasets import PascalVOCDataset

    assert [list(colour) for colour in voc_palette()[:21]] == PascalVOCDataset.METAINFO["palette"]
    assert voc_palette()[255] == [224, 224, 192]
