"""mAP, precision, recall and F1 at every confidence against a slow oracle; and which detection found which box."""

import json

import numpy as np
import pytest

from normreg_plugins.evaluation.detection import (
    category_ids,
    curves,
    detection_matches,
    detection_scores,
    load_annotations,
    mistakes,
    pairs_by_image,
)
from normreg_plugins.evaluation.detection_files import PredictionsError

pytest.importorskip("pycocotools")

CONFIDENCES = np.linspace(0, 1, 21)


def scene(seed, images=6, categories=3, crowds=True):
    """Objects, and detections that hit, miss, repeat and mistake them, with scores that differ."""
    rng = np.random.default_rng(seed)
    annotations, detections = [], []
    for image in range(images):
        for _ in range(rng.integers(0, 7)):
            box = [*rng.uniform(0, 40, 2), *rng.uniform(8, 30, 2)]
            crowd = int(crowds and rng.random() < 0.2)
            category = int(rng.integers(1, categories + 1))
            annotations.append({"id": len(annotations) + 1, **thing(box, crowd, image, category)})
        here = [a for a in annotations if a["image_id"] == image]
        for _ in range(rng.integers(0, 12)):
            box = [*rng.uniform(0, 40, 2), *rng.uniform(8, 30, 2)]
            category = int(rng.integers(1, categories + 1))
            if here and rng.random() < 0.8:
                meant = here[rng.integers(len(here))]
                box = (np.array(meant["bbox"]) + rng.normal(0, 2.0, 4)).clip(1).tolist()
                category = meant["category_id"] if rng.random() < 0.8 else category
            detections.append(one(box, float(rng.random()), image, category))
    return annotations, detections


def overlap(detection, thing):
    x, y, w, h = detection["bbox"]
    u, v, s, t = thing["bbox"]
    shared = max(0, min(x + w, u + s) - max(x, u)) * max(0, min(y + h, v + t) - max(y, v))
    return shared / (w * h if thing["iscrowd"] else w * h + s * t - shared)


def counts(annotations, detections, threshold):
    """Hits, false alarms and objects, one detection at a time."""
    hits, alarms, taken = 0, 0, set()
    for detection in sorted(detections, key=lambda d: -d["score"]):
        here = [a for a in annotations if a["image_id"] == detection["image_id"]]
        near = [a for a in here if a["id"] not in taken and overlap(detection, a) >= threshold]
        if objects := [a for a in near if not a["iscrowd"]]:
            taken.add(max(objects, key=lambda a: overlap(detection, a))["id"])
            hits += 1
        elif not near:
            alarms += 1
    return hits, alarms, sum(not a["iscrowd"] for a in annotations)


def slow_curves(annotations, detections, threshold):
    """At each confidence, drop what scores less and count everything anew."""
    rows = []
    for confidence in CONFIDENCES:
        precisions, recalls, f1s = [], [], []
        for category in sorted({a["category_id"] for a in annotations if not a["iscrowd"]}):
            things = [a for a in annotations if a["category_id"] == category]
            kept = [d for d in detections if d["score"] >= confidence and d["category_id"] == category]
            hits, alarms, objects = counts(things, kept, threshold)
            recalls.append(hits / objects)
            f1s.append(2 * hits / (hits + alarms + objects))
            precisions += [hits / (hits + alarms)] if hits + alarms else []
        rows.append([np.mean(values) if values else np.nan for values in (precisions, recalls, f1s)])
    return np.array(rows).T


@pytest.fixture
def coco(tmp_path):
    """Annotations, written to a file and read back."""

    def write(annotations, images=range(20), categories=(1, 2, 3)):
        content = {
            "images": [{"id": image, "width": 80, "height": 80} for image in images],
            "annotations": [{"id": number, **each} for number, each in enumerate(annotations)],
            "categories": [{"id": category, "name": str(category)} for category in categories],
        }
        path = tmp_path / "annotations.json"
        path.write_text(json.dumps(content))
        return load_annotations(path)

    return write


@pytest.fixture
def score(coco):
    return lambda annotations, detections: detection_scores(coco(annotations), detections, [1, 2, 3])


@pytest.mark.parametrize("seed", range(4))
def test_curves_equal_a_count_that_starts_anew_at_every_confidence(seed, score):
    annotations, detections = scene(seed)
    ours = curves(score(annotations, detections).matches, CONFIDENCES)
    precision, recall, f1 = slow_curves(annotations, detections, 0.5)
    np.testing.assert_allclose(ours.precision, precision, rtol=1e-12)
    np.testing.assert_allclose(ours.recall, recall, rtol=1e-12)
    np.testing.assert_allclose(ours.f1, f1, rtol=1e-12)


@pytest.mark.parametrize("seed", range(2))
def test_the_matches_alone_are_those_of_the_whole_evaluation(seed, coco):
    annotations, detections = scene(seed)
    everything, alone = coco(annotations), coco(annotations)
    expected = detection_scores(everything, detections, [1, 2, 3]).matches
    found = detection_matches(alone, detections, [1, 2, 3])
    assert found.keys() == expected.keys()
    for category, matches in found.items():
        assert np.array_equal(matches.scores, expected[category].scores)
        assert np.array_equal(matches.hits, expected[category].hits)
        assert matches.objects == expected[category].objects


def test_without_detections_nothing_is_found(coco):
    annotations, _ = scene(0)
    found = curves(detection_matches(coco(annotations), [], [1, 2, 3]))
    assert found.recall.max() == found.f1.max() == 0
    assert np.isnan(found.precision).all()


def test_labels_count_the_classes_of_the_model_in_the_order_of_the_file(coco):
    annotations = coco([], categories=(7, 3, 9))
    assert category_ids(annotations, None) == [7, 3, 9]
    assert category_ids(annotations, ("9", "7")) == [7, 9]
    with pytest.raises(PredictionsError, match="no bird"):
        category_ids(annotations, ["7", "bird"])


def test_map_by_hand(score):
    """One object, found with IoU .72: at 5 of the 10 thresholds. A second class has no detection."""
    found = score([thing([0, 0, 10, 10]), thing([0, 0, 10, 10], category=2)], [one([0, 0, 10, 7.2])])
    assert found.mean_ap50 == pytest.approx(1 / 2)
    assert found.mean_ap == pytest.approx(1 / 2 * 5 / 10)


def test_more_than_a_hundred_detections_count_for_the_curves_and_not_for_map(score):
    """101 detections miss before the last one hits."""
    misses = [one([30, 30, 5, 5], 0.9 - number / 1000) for number in range(101)]
    found = score([thing([0, 0, 10, 10])], [*misses, one([0, 0, 10, 10], 0.5)])
    assert found.mean_ap == 0
    assert curves(found.matches).at(0.5)["recall"] == 1
    assert curves(found.matches).at(0.5)["precision"] == pytest.approx(1 / 102)


def one(box, score=0.9, image=1, category=1):
    return {"image_id": image, "category_id": category, "bbox": box, "score": score}


def thing(box, crowd=0, image=1, category=1):
    return {"image_id": image, "category_id": category, "bbox": box, "iscrowd": crowd, "area": box[2] * box[3]}


@pytest.fixture
def lines(score):
    return lambda annotations, detections: curves(score(annotations, detections).matches)


def test_a_detection_on_the_threshold_is_kept_and_counts(lines):
    found = lines([thing([0, 0, 10, 10])], [one([0, 0, 10, 5], score=0.5)])  # IoU exactly 0.5
    assert found.at(0.5)["recall"] == 1
    assert found.at(0.501)["recall"] == 0


def test_nothing_to_find_is_an_error(lines):
    with pytest.raises(ValueError, match="no objects"):
        lines([thing([0, 0, 9, 9], crowd=1)], [one([0, 0, 9, 9])])


@pytest.mark.parametrize("confidence", [-0.1, float("nan")])
def test_a_confidence_outside_its_range_is_refused(confidence, lines):
    with pytest.raises(ValueError, match="between 0 and 1"):
        lines([thing([0, 0, 9, 9])], [one([0, 0, 9, 9])]).at(confidence)


def test_an_object_with_id_zero_or_without_crowd_flag_can_be_found(coco):
    annotations = coco([{"id": 0, "image_id": 1, "category_id": 1, "bbox": [0, 0, 10, 10]}])
    assert detection_scores(annotations, [one([0, 0, 10, 10])], [1]).mean_ap == pytest.approx(1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"images": []}', "it lacks annotations, categories"),
        ('{"images": [], "annotations": [{"id": 1}], "categories": []}', "no COCO annotation file"),
        ("[3]", "no COCO annotation file"),
    ],
)
def test_another_file_of_annotations_is_named(tmp_path, text, words):
    (tmp_path / "other.json").write_text(text)
    with pytest.raises(PredictionsError, match=f"other.json.*{words}"):
        load_annotations(tmp_path / "other.json")


CAT, DOG = 1, 2
RIGHT, FAR, NEAR = [0, 0, 10, 10], [40, 40, 10, 10], [20, 20, 10, 10]


def test_pairs_of_boxes_and_detections_at_a_confidence(coco):
    """A right class, a wrong class, a box that two detections find, one that none finds, and an invented box."""
    boxes = [thing(RIGHT, category=CAT), thing(NEAR, category=CAT), thing(FAR, category=DOG), thing(RIGHT, 0, 2, DOG)]
    found = [
        one(RIGHT, 0.9, category=CAT),
        one(RIGHT, 0.8, category=CAT),
        one([20, 20, 10, 8], 0.7, category=DOG),
        one(FAR, 0.1, category=DOG),
    ]
    pairs = pairs_by_image(coco(boxes, images=(1, 2, 3)), found, [CAT, DOG], 0.5)
    labels = [[tuple(box and box["category_id"] for box in pair) for pair in pairs[image]] for image in (1, 2, 3)]
    assert labels == [[(CAT, CAT), (None, CAT), (CAT, DOG), (DOG, None)], [(DOG, None)], []]
    assert [mistakes(pairs[image]) for image in (1, 2, 3)] == [3, 1, 0]


def test_a_crowd_takes_detections_out_and_is_not_missed(coco):
    crowd, inside = thing([0, 0, 50, 50], crowd=1, category=CAT), one([5, 5, 10, 10], category=CAT)
    assert pairs_by_image(coco([crowd], images=(1,)), [inside, inside], [CAT, DOG], 0.5) == {1: []}
