"""The drawn crowds are the same each time, and their people are where the annotations say."""

import numpy as np
from PIL import Image
from scipy.io import loadmat


def test_drawn_crowds_are_the_same_each_time_and_have_their_people(draw_raw, tmp_path):
    one, two = draw_raw(tmp_path / "one"), draw_raw(tmp_path / "two")
    for path in sorted(one.glob("*/*.jpg")):
        same = two / path.relative_to(one)
        assert path.read_bytes() == same.read_bytes()
        points = loadmat(path.with_name(f"{path.stem}_ann.mat"))["annPoints"]
        np.testing.assert_array_equal(points, loadmat(same.with_name(f"{path.stem}_ann.mat"))["annPoints"])
        with Image.open(path) as image:
            assert min(image.size) == 64
            assert (points > 0).all()
            assert (points < image.size).all()
    counts = [len(loadmat(path)["annPoints"]) for path in one.glob("*/*_ann.mat")]
    assert len(counts) == 8
    assert len(set(counts)) > 4
