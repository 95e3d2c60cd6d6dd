import json

import pytest
import torch

from normreg_plugins.evaluation.detection_files import PredictionsError, from_mm, load_predictions

DETECTION = {"image_id": 1, "category_id": 5, "bbox": [1, 2, 3, 4], "score": 0.5}


def test_samples_of_mm_become_what_coco_writes():
    instances = {
        "bboxes": torch.tensor([[1.0, 2.0, 4.0, 8.0], [0.0, 0.0, 1.0, 1.0]]),
        "scores": torch.tensor([0.5, 0.25]),
        "labels": torch.tensor([1, 0]),
    }
    assert from_mm([{"img_id": 42, "pred_instances": instances}], category_ids=[7, 9]) == [
        {"image_id": 42, "category_id": 9, "bbox": [1.0, 2.0, 3.0, 6.0], "score": 0.5},
        {"image_id": 42, "category_id": 7, "bbox": [0.0, 0.0, 1.0, 1.0], "score": 0.25},
    ]


def test_cocos_json_is_read_as_it_is(tmp_path):
    path = tmp_path / "p.json"
    path.write_text(json.dumps([DETECTION]))
    assert load_predictions(path) == [DETECTION]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", "has no detections"),
        ('[{"image_id": 1, "category_id": 5, "bbox": [0, 0, 1], "score": 0.5}]', r"bbox '\[0, 0, 1\]'"),
        ('[{"image_id": {}, "category_id": 5, "bbox": [0, 0, 1, 1], "score": "high"}]', "image_id '{}', score 'high'"),
        ('{"images": []}', "is it the annotation file"),
        ('[{"image_id": 1, "bbox": [0, 0, 1, 1]}]', "entry 0 lacks category_id, score"),
        ("[3]", "entry 0 is no object"),
    ],
)
def test_other_json_is_named(tmp_path, text, words):
    path = tmp_path / "p.json"
    path.write_text(text)
    with pytest.raises(PredictionsError, match=words):
        load_predictions(path)
    with pytest.raises(PredictionsError, match=r"p\.pkl is no \.json file of detections.*normreg test --out"):
        load_predictions(path.with_suffix(".pkl"))
