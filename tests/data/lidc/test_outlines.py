"""Polygons, masks and diameters, by hand where a hand can."""

import numpy as np
import pytest
from matplotlib.path import Path as Polygon

from capsmed.data.lidc.outlines import (
    Contour,
    consensus,
    equivalent_diameter,
    polygon_mask,
    reader_masks,
)


def square(reader: int, z: float, low: int, high: int, inclusion: bool = True) -> Contour:
    corners = [(low, low), (low, high), (high, high), (high, low)]
    return Contour(reader, z, inclusion, np.array(corners))


def test_a_curve_lies_outside_what_it_encloses() -> None:
    inside = polygon_mask(square(0, 0.0, 1, 4).points, (6, 7))
    assert np.argwhere(inside).tolist() == [[2, 2], [2, 3], [3, 2], [3, 3]]


def test_a_notch_is_not_enclosed() -> None:
    notched = np.array([(0, 0), (6, 0), (6, 6), (3, 2), (0, 6)])
    inside = polygon_mask(notched, (7, 7))
    assert inside[3, 1] and not inside[3, 3] and inside[1, 3] and inside[5, 3]


def test_a_single_point_encloses_nothing() -> None:
    assert not polygon_mask(np.array([[2, 2]]), (5, 5)).any()


def test_matplotlib_encloses_the_same_pixels() -> None:
    angle = np.linspace(0, 2 * np.pi, 23, endpoint=False)
    radius = 9 + 3 * np.sin(3 * angle)
    points = np.rint(np.c_[13 + radius * np.cos(angle), 13 + radius * np.sin(angle)]).astype(int)
    pixels = np.argwhere(np.ones((27, 29)))
    expected = Polygon(points).contains_points(pixels, radius=-1e-9).reshape(27, 29)
    other_side = Polygon(points).contains_points(pixels, radius=1e-9).reshape(27, 29)
    assert np.array_equal(polygon_mask(points, (27, 29)), expected & other_side)


def test_a_hole_is_taken_away_on_its_slice_only() -> None:
    curves = [square(0, 2.5, 4, 7, inclusion=False), square(0, 2.5, 0, 9), square(0, 0.0, 0, 9)]
    masks = reader_masks(curves, 2.5)
    assert masks.shape == (1, 10, 10, 2)
    assert masks.sum(axis=(0, 1, 2)).tolist() == [64, 60]


def test_half_of_the_readers_are_enough_to_agree() -> None:
    masks = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 0], [0, 0, 1]], bool)
    assert consensus(masks).tolist() == [True, True, False]


def test_a_ball_has_its_own_diameter() -> None:
    mesh = np.indices((61, 61, 31)) * np.array([0.5, 0.5, 1.0]).reshape(3, 1, 1, 1) - 15
    ball = (mesh**2).sum(axis=0) < 11.0**2
    assert equivalent_diameter(ball, 0.5, 1.0) == pytest.approx(22.0, abs=0.1)
