import io
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from normreg_plugins.evaluation import PredictionsError, load_predictions
from normreg_plugins.evaluation.detection_files import load_data_pickle

DETECTION = {"image_id": 1, "category_id": 5, "bbox": [1, 2, 3, 4], "score": 0.5}


def dump(path, content, protocol=2):
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


def mm_sample():
    instances = {
        "bboxes": torch.tensor([[1.0, 2.0, 4.0, 8.0], [0.0, 0.0, 1.0, 1.0]]),
        "scores": torch.tensor([0.5, 0.25]),
        "labels": torch.tensor([1, 0]),
    }
    scale = (np.float32(0.5), np.float32(0.5))
    return {"img_id": 42, "scale_factor": scale, "ori_shape": (8, 8), "pred_instances": instances}


@pytest.mark.parametrize("protocol", [2, 4])
def test_mms_pickle_becomes_what_coco_writes(tmp_path, protocol):
    path = dump(tmp_path / "p.pkl", [mm_sample()], protocol)
    assert load_predictions(path, category_ids=[7, 9]) == [
        {"image_id": 42, "category_id": 9, "bbox": [1.0, 2.0, 3.0, 6.0], "score": 0.5},
        {"image_id": 42, "category_id": 7, "bbox": [0.0, 0.0, 1.0, 1.0], "score": 0.25},
    ]


def test_cocos_json_is_read_as_it_is(tmp_path):
    path = tmp_path / "p.json"
    path.write_text(json.dumps([DETECTION]))
    assert load_predictions(path, [5]) == [DETECTION]


class TouchesAFile:
    """What an attacker would write: unpickling it calls a function."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


class StorageWithACall(TouchesAFile):
    """The same, one level down, in the bytes that torch unpickles for itself."""

    def __reduce__(self):
        content = io.BytesIO()
        torch.save(TouchesAFile(self.path), content, _use_new_zipfile_serialization=False)
        return torch.storage._load_from_bytes, (content.getvalue(),)


@pytest.mark.parametrize("attack", [TouchesAFile, StorageWithACall])
def test_a_pickle_that_calls_functions_is_refused_and_calls_none(tmp_path, attack):
    path = dump(tmp_path / "p.pkl", [attack(tmp_path / "touched")])
    with pytest.raises(PredictionsError, match="cannot be read as plain data"):
        load_predictions(path, [1])
    assert not (tmp_path / "touched").exists()
    pickle.loads(path.read_bytes())
    assert (tmp_path / "touched").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([], "no detections"),
        ({"a": 1}, "no detections of mm"),
        ([{"img_id": 1}], "pred_instances"),
        (3, "no detections of mm"),
    ],
)
def test_other_pickles_are_named(tmp_path, content, words):
    with pytest.raises(PredictionsError, match=words):
        load_predictions(dump(tmp_path / "p.pkl", content), [1])


def test_a_label_without_a_category_is_named(tmp_path):
    path = dump(tmp_path / "p.pkl", [mm_sample()])
    with pytest.raises(PredictionsError, match="label 1, the annotations have 1 categories"):
        load_predictions(path, [7])


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x04\x8e" + (2**62).to_bytes(8, "little"),  # claims 4 EiB of bytes: MemoryError
        b"\x80\x04cnumpy\nndarray\n(I-1\ntR.",  # an array of -1 numbers
        b"\x80\x04K\x01)R.",  # calls the number 1: TypeError
        b"\x80\x04c_codecs\nencode\n(X\x01\x00\x00\x00aX\x03\x00\x00\x00no!tR.",  # LookupError
        b"\x80\x04\x95" + (2**63 - 1).to_bytes(8, "little"),  # a frame of 8 EiB
    ],
)
def test_whatever_a_damaged_pickle_fails_with_is_named(tmp_path, content):
    (tmp_path / "p.pkl").write_bytes(content)
    with pytest.raises(PredictionsError, match=r"p\.pkl cannot be read as plain data: ."):
        load_data_pickle(tmp_path / "p.pkl")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"img_id": [1]}, r"entry 0 has image_id '\[1\]'"),
        ({"pred_instances": {**mm_sample()["pred_instances"], "scores": torch.tensor([np.nan, 0.5])}}, "score 'nan'"),
        ({"pred_instances": {**mm_sample()["pred_instances"], "scores": torch.tensor([0.5])}}, "no detections of mm"),
        ({"pred_instances": {**mm_sample()["pred_instances"], "bboxes": torch.ones(2, 3)}}, "no detections of mm"),
    ],
)
def test_odd_values_of_mm_are_named(tmp_path, change, words):
    with pytest.raises(PredictionsError, match=words):
        load_predictions(dump(tmp_path / "p.pkl", [{**mm_sample(), **change}]), [7, 9])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", "has no detections"),
        ("[" * 100_000, "no valid JSON"),
        ('[{"image_id": 1, "category_id": 5, "bbox": [0, 0, 1], "score": 0.5}]', r"bbox '\[0, 0, 1\]'"),
        ('[{"image_id": {}, "category_id": 5, "bbox": [0, 0, 1, 1], "score": "high"}]', "image_id '{}', score 'high'"),
        ('[{"image_id": 1', "no valid JSON"),
        ('{"images": []}', "is it the annotation file"),
        ('[{"image_id": 1, "bbox": [0, 0, 1, 1]}]', "entry 0 lacks category_id, score"),
        ("[3]", "entry 0 is no object"),
    ],
)
def test_other_json_is_named(tmp_path, text, words):
    path = tmp_path / "p.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=words):
        load_predictions(path, [1])


def test_another_kind_of_file_is_named(tmp_path):
    with pytest.raises(PredictionsError, match=r"neither .json \(COCO\) nor .pkl"):
        load_predictions(tmp_path / "p.txt", [1])
