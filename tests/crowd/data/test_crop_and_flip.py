"""Crops and flips: who is still seen, and how much of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from normreg_plugins.crowd.data import MEAN_COLOUR, crop, flip, visible_share


def people(*rows):
    return np.array(rows, dtype=np.float32)


def test_visible_share_by_hand():
    rows = people(
        [50, 50, 10],  # wholly inside
        [10, 50, 10],  # on the left edge: half
        [10, 20, 10],  # on a corner: a quarter
        [7, 50, 10],  # centre outside, a fifth seen
        [4, 50, 10],  # not seen
        [50, 50, 1],  # a head is at least 4 wide
        [12, 50, np.inf],  # a lone person's head is at most 40: 22 of 40 columns
    )
    share = visible_share(rows, left=10, top=20, width=100, height=100, head=(4, 40))
    np.testing.assert_allclose(share, [1, 0.5, 0.25, 0.2, 0, 1, 22 / 40], rtol=1e-6)


@given(st.floats(-20, 60), st.floats(-20, 60), st.floats(0, 50))
def test_visible_share_against_counting_pixels(x, y, distance):
    side = min(max(distance, 4), 32)
    fine = np.arange(-40, 80, 0.1) + 0.05
    columns = (abs(fine - x) < side / 2) & (fine > 0) & (fine < 30)
    rows = (abs(fine - y) < side / 2) & (fine > 0) & (fine < 40)
    counted = columns.sum() * rows.sum() * 0.01 / side**2
    share = visible_share(people([x + 5, y + 7, distance]), 5, 7, 30, 40, (4, 32))[0]
    assert abs(share - counted) < 0.06


def test_crop_pads_with_the_mean_colour():
    image = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    np.testing.assert_array_equal(crop(image, 1, 2, 3, 2), image[2:4, 1:4])
    window = crop(image, 0, 0, 8, 6)
    np.testing.assert_array_equal(window[:4, :5], image)
    assert (window[4:] == MEAN_COLOUR).all()
    assert (window[:, 5:] == MEAN_COLOUR).all()


def test_flip_moves_people_with_their_pixels():
    image = np.zeros((6, 9, 3), dtype=np.uint8)
    image[2, 1] = 255
    mirrored, moved = flip(image, people([1.5, 2.5, 7]))
    assert mirrored[2, int(moved[0, 0])].min() == 255
    np.testing.assert_array_equal(moved, [[7.5, 2.5, 7]])
    again, back = flip(mirrored, moved)
    np.testing.assert_array_equal(again, image)
    np.testing.assert_array_equal(back, people([1.5, 2.5, 7]))


def test_nobody_is_fine():
    nobody = np.zeros((0, 3), dtype=np.float32)
    assert visible_share(nobody, 0, 0, 10, 10, (4, 8)).shape == (0,)
    assert flip(np.zeros((4, 4, 3), np.uint8), nobody)[1].shape == (0, 3)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_crop_and_its_neighbour_see_a_head_once(axis):
    """Two crops that meet share a head between them."""
    rows = people([50, 50, 20])
    offset = [0, 0]
    offset[axis] = 45
    first = visible_share(rows, 0, 0, *(45 if a == axis else 100 for a in (0, 1)), (4, 40))
    second = visible_share(rows, *offset, 100, 100, (4, 40))
    np.testing.assert_allclose(first + second, 1, rtol=1e-6)
