"""Points: read from MATLAB files, cleaned, and their distances."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.layouts import qnrf_file, shanghaitech_file

from normreg_plugins.crowd.data.points import (
    AnnotationError,
    clean_points,
    neighbour_distances,
    read_qnrf_points,
    read_shanghaitech_points,
)

POINTS = np.array([[1.5, 2.0], [30.0, 40.0], [5.0, 5.0]])


def test_both_layouts_give_their_points(tmp_path):
    qnrf = qnrf_file(tmp_path / "a.mat", annPoints=POINTS)
    np.testing.assert_array_equal(read_qnrf_points(qnrf), POINTS.astype(np.float32))
    shanghai = shanghaitech_file(tmp_path / "b.mat", POINTS)
    np.testing.assert_array_equal(read_shanghaitech_points(shanghai), POINTS.astype(np.float32))


@pytest.mark.parametrize("empty", [np.zeros((0, 0)), np.zeros((2, 0))])
def test_no_points_are_no_points(tmp_path, empty):
    path = qnrf_file(tmp_path / "a.mat", annPoints=empty)
    assert read_qnrf_points(path).shape == (0, 2)
    assert neighbour_distances(read_qnrf_points(path)).shape == (0,)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"points": POINTS}, r"no 'annPoints'; the file has \['points'\]"),
        ({"annPoints": POINTS.T}, r"N x 2 .*\[2, 3\]"),
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


def test_only_points_in_the_picture_stay():
    points = np.array(
        [[0, 0], [10, 5], [10.1, 5], [-0.1, 2], [3, np.nan], [np.inf, 1], [4, 4], [4, 4]], dtype=np.float32
    )
    clean = clean_points(points, width=10, height=5)
    np.testing.assert_array_equal(clean.points, [[0, 0], [10, 5], [4, 4], [4, 4]])
    assert (clean.outside, clean.not_finite, clean.duplicates) == (2, 2, 1)


def test_neighbour_distances_by_hand():
    line = np.array([[0, 0], [1, 0], [3, 0], [7, 0], [20, 0]], dtype=np.float32)
    expected = [(1 + 3 + 7) / 3, (1 + 2 + 6) / 3, (2 + 3 + 4) / 3, (4 + 6 + 7) / 3, (13 + 17 + 19) / 3]
    np.testing.assert_allclose(neighbour_distances(line), expected, rtol=1e-6)


def test_neighbour_distances_of_few_and_of_twins():
    np.testing.assert_array_equal(neighbour_distances(np.array([[3, 4]], dtype=np.float32)), [np.inf])
    two = np.array([[0, 0], [3, 4]], dtype=np.float32)
    np.testing.assert_array_equal(neighbour_distances(two), [5, 5])
    twins = np.zeros((5, 2), dtype=np.float32)
    np.testing.assert_array_equal(neighbour_distances(twins), np.zeros(5))
