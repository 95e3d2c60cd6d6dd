"""MATLAB files as people have them, and points as they come."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.annotations import qnrf_file, shanghaitech_file

from normreg_plugins.crowd.data import AnnotationError, neighbour_distances, read_qnrf_points, read_shanghaitech_points

POINTS = np.array([[1.5, 2.0], [30.0, 40.0], [5.0, 5.0]])


def test_both_layouts_give_their_points(tmp_path):
    qnrf = qnrf_file(tmp_path / "a.mat", annPoints=POINTS)
    np.testing.assert_array_equal(read_qnrf_points(qnrf), POINTS.astype(np.float32))
    shanghai = shanghaitech_file(tmp_path / "b.mat", POINTS)
    np.testing.assert_array_equal(read_shanghaitech_points(shanghai), POINTS.astype(np.float32))


@pytest.mark.parametrize("empty", [np.zeros((0, 0)), np.zeros((0, 2)), np.zeros((2, 0))])
def test_no_points_are_no_points(tmp_path, empty):
    path = qnrf_file(tmp_path / "a.mat", annPoints=empty)
    assert read_qnrf_points(path).shape == (0, 2)
    assert neighbour_distances(read_qnrf_points(path)).shape == (0,)


def test_integer_points_are_fine(tmp_path):
    path = qnrf_file(tmp_path / "a.mat", annPoints=POINTS.astype(np.uint16))
    assert read_qnrf_points(path).dtype == np.float32


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"points": POINTS}, r"no 'annPoints'; the file holds \['points'\]"),
        ({"annPoints": POINTS.T}, r"N x 2 .*\[2, 3\]"),
        ({"annPoints": np.ones((4, 3))}, r"\[4, 3\]"),
        ({"annPoints": np.array(["left", "right"])}, "N x 2 numbers"),
    ],
)
def test_other_contents_are_named(tmp_path, content, message):
    with pytest.raises(AnnotationError, match=message):
        read_qnrf_points(qnrf_file(tmp_path / "a.mat", **content))


def test_what_is_no_mat_file_is_named(tmp_path):
    (tmp_path / "text.mat").write_text("annPoints = [1 2; 3 4];")
    (tmp_path / "short.mat").write_bytes(qnrf_file(tmp_path / "a.mat", annPoints=POINTS).read_bytes()[:150])
    (tmp_path / "empty.mat").write_bytes(b"")
    for name in ("text", "short", "empty"):
        with pytest.raises(AnnotationError, match=f"{name}.mat"):
            read_qnrf_points(tmp_path / f"{name}.mat")
    hdf5 = tmp_path / "v73.mat"
    hdf5.write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + bytes([0, 2]) + b"IM" + b"\0" * 400)
    with pytest.raises(AnnotationError, match="-v7"):
        read_qnrf_points(hdf5)
    with pytest.raises(FileNotFoundError, match=r"missing\.mat"):
        read_qnrf_points(tmp_path / "missing.mat")
    with pytest.raises(AnnotationError, match="image_info"):
        read_shanghaitech_points(tmp_path / "a.mat")
    with pytest.raises(AnnotationError, match="'location'"):
        read_shanghaitech_points(qnrf_file(tmp_path / "c.mat", image_info=POINTS))
