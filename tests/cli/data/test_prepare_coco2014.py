import json

import pytest

from normreg_plugins.cli.data import prepare_coco2014 as prep

CATEGORIES = [{"id": 1, "name": "thing"}]


def coco(folder, ids, labelled):
    """An annotation file as COCO has it: file names without their folder."""
    return {
        "info": {"year": 2014},
        "images": [{"id": i, "file_name": f"COCO_{folder}_{i:012d}.jpg"} for i in ids],
        "annotations": [{"id": 10 * i, "image_id": i, "category_id": 1} for i in labelled],
        "categories": CATEGORIES,
    }


@pytest.fixture
def root(tmp_path):
    """Six training images, 2 without a label; five validation images, 1 without; 2 held out."""
    for folder in ("train2014", "val2014", "annotations"):
        (tmp_path / folder).mkdir()
    train = coco("train2014", range(1, 7), range(1, 5))
    val = coco("val2014", range(11, 16), range(11, 15))
    for name, content in (("train", train), ("val", val)):
        path = tmp_path / "annotations" / f"instances_{name}2014.json"
        path.write_text(json.dumps(content))
    held_out = [f"/home/who/coco/images/val2014/COCO_val2014_{i:012d}.jpg" for i in (12, 15)]
    (tmp_path / "5k.txt").write_text("\n".join(held_out) + "\n\n")
    return tmp_path


COUNTS = prep.Counts(train=6, val=5, held_out=2, labelled=7)


def written(root, name):
    return json.loads((root / "annotations" / f"instances_{name}.json").read_text())


def test_the_split_takes_every_labelled_image_that_is_not_held_out(root, capsys):
    prep.prepare(root, COUNTS)
    train, val = written(root, "trainvalno5k"), written(root, "5k")
    assert {image["id"] for image in train["images"]} == {1, 2, 3, 4, 11, 13, 14}
    assert {image["id"] for image in val["images"]} == {12, 15}
    assert {a["image_id"] for a in train["annotations"]} == {1, 2, 3, 4, 11, 13, 14}
    assert [a["image_id"] for a in val["annotations"]] == [12]
    assert train["categories"] == val["categories"] == CATEGORIES
    assert "note:" not in capsys.readouterr().out


def test_file_names_carry_their_folder(root):
    prep.prepare(root, COUNTS)
    names = [image["file_name"] for image in written(root, "trainvalno5k")["images"]]
    assert names[0] == "train2014/COCO_train2014_000000000001.jpg"
    assert names[-1] == "val2014/COCO_val2014_000000000014.jpg"


def test_another_number_of_labelled_images_is_told(root, capsys):
    prep.prepare(root, prep.Counts(train=6, val=5, held_out=2, labelled=8))
    assert "7 training images have a label; the paper says 8" in capsys.readouterr().out


def test_everything_that_is_missing_is_named_at_once_with_its_source(run_tool, tmp_path):
    done = run_tool("data/prepare_coco2014.py", "--root", tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    for name in ("instances_train2014.json", "instances_val2014.json", "5k.txt", "val2014.zip"):
        assert name in done.stderr
    assert "https://" in done.stderr
    assert not list(tmp_path.iterdir())


def test_files_of_the_wrong_size_are_refused_and_nothing_is_written(run_tool, root):
    done = run_tool("data/prepare_coco2014.py", "--root", root)
    assert done.returncode == 2
    assert "has 6 images, COCO 2014 has 82783" in done.stderr
    assert not list(root.rglob("*5k.json"))


def shorten(path):
    path.write_text(path.read_text()[:-20])


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda r: shorten(r / "annotations" / "instances_val2014.json"), "was cut off"),
        (lambda r: (r / "annotations" / "instances_val2014.json").write_text("[]"), "no COCO"),
        (lambda r: (r / "5k.txt").write_text("val2014/a.jpg\n"), "names 1 different images, not 2"),
        (lambda r: (r / "5k.txt").write_text("a.jpg\na.jpg\n"), "names 1 different images, not 2"),
        (
            lambda r: (r / "5k.txt").write_text("a.jpg\nb.jpg\n"),
            "does not have, e.g. val2014/a.jpg",
        ),
    ],
)
def test_damaged_input_is_named(root, damage, words):
    damage(root)
    with pytest.raises(prep.SplitError, match=words):
        prep.prepare(root, COUNTS)
    assert not list(root.rglob("*5k.json"))


def test_two_copies_of_one_file_are_refused(root):
    train = (root / "annotations" / "instances_train2014.json").read_text()
    (root / "annotations" / "instances_val2014.json").write_text(train)
    with pytest.raises(prep.SplitError, match="share image ids"):
        prep.prepare(root, prep.Counts(train=6, val=6, held_out=2, labelled=7))


def test_other_categories_are_refused(root):
    path = root / "annotations" / "instances_val2014.json"
    path.write_text(path.read_text().replace('"thing"', '"stuff"'))
    with pytest.raises(prep.SplitError, match="different categories"):
        prep.prepare(root, COUNTS)


def test_the_counts_are_those_of_the_papers_and_of_coco():
    counts = prep.Counts()
    assert counts.train + counts.val - counts.held_out == 118_287
    assert (counts.labelled, counts.held_out) == (117_263, 5_000)
