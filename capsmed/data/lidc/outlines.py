"""Radiologists' outlines of a nodule: polygons on CT slices, and the masks they enclose."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

RATINGS = (
    "subtlety",
    "internal_structure",
    "calcification",
    "sphericity",
    "margin",
    "lobulation",
    "spiculation",
    "texture",
)


@dataclass(frozen=True)
class Contour:
    """One closed curve that one reader drew on one slice.

    Attributes:
        reader: number of the reader, from 0.
        z: height of the slice in mm; superior is positive.
        inclusion: False for a curve round a hole.
        points: whole pixels [n, 2], column (to the patient's left) and row (to the back). The
            curve runs just outside the nodule: its own pixels are not part of it.
    """

    reader: int
    z: float
    inclusion: bool
    points: np.ndarray


@dataclass(frozen=True)
class Nodule:
    """All a renderer may know of a nodule: how it looks, never how malignant it was rated.

    Attributes:
        pixel_spacing: mm between pixels of the annotated scan.
        slice_spacing: mm between its slices.
        contours: the outlines of every reader.
        ratings: mean over the readers of each of ``RATINGS`` (1 to 5; calcification 1 to 6, the
            most frequent one because its values are names, not degrees).
    """

    pixel_spacing: float
    slice_spacing: float
    contours: tuple[Contour, ...]
    ratings: Mapping[str, float]


def agreed(name: str, values: Sequence[int]) -> float:
    """Return the mean of the readers' ratings called ``name``, to two places.

    Calcification and internal structure are kinds, not degrees: there it is the most frequent
    value, the highest of those (for calcification 'absent') in a tie.

    >>> agreed("texture", [4, 5, 5]), agreed("calcification", [3, 6, 3, 6])
    (4.67, 6.0)
    """
    if name in ("calcification", "internal_structure"):
        return float(max(statistics.multimode(values)))
    return round(statistics.fmean(values), 2)


def polygon_mask(points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return the pixels strictly inside a closed polygon, a bool array of ``shape``.

    A pixel is inside when a ray from its centre crosses the polygon an odd number of times
    (vertices counted half-open); pixels of the curve itself are outside.

    >>> square = np.array([[0, 0], [0, 3], [3, 3], [3, 0]])
    >>> int(polygon_mask(square, (4, 4)).sum())
    4
    """
    ahead = np.roll(points, -1, axis=0) - points
    edge, step = _ramps(np.abs(ahead[:, 1]))
    (x, y), (dx, dy) = points[edge].T, ahead[edge].T
    row = y + np.minimum(dy, 0) + step
    beyond = x - (y - row) * dx * np.sign(dy) // np.abs(dy)  # rounded up, in whole numbers
    crossings = np.zeros((shape[0] + 1, shape[1]), int)
    np.add.at(crossings, (beyond, row), 1)
    inside = crossings[::-1].cumsum(axis=0)[-2::-1] % 2 == 1
    edge, step = _ramps(np.gcd(*np.abs(ahead.T)))
    parts = np.gcd(*np.abs(ahead[edge].T))[:, None]
    inside[tuple((points[edge] + ahead[edge] // np.maximum(parts, 1) * step[:, None]).T)] = False
    return inside


def reader_masks(contours: Iterable[Contour], slice_spacing: float) -> np.ndarray:
    """Return what each reader enclosed, a bool array [reader, column, row, slice].

    The grid is the annotated scan's own, cut to the outlines; slices go from low to high z.
    """
    contours = list(contours)
    low, lowest, shape = _box(contours, slice_spacing)
    readers = 1 + max(c.reader for c in contours)
    masks = np.zeros((readers, *shape), bool)
    for contour in sorted(contours, key=lambda c: not c.inclusion):
        inside = polygon_mask(contour.points - low, shape[:2])
        level = masks[contour.reader, :, :, round((contour.z - lowest) / slice_spacing)]
        if contour.inclusion:
            level |= inside
        else:
            level &= ~inside
    return masks


def consensus(masks: np.ndarray) -> np.ndarray:
    """Return the voxels that at least half of the readers enclosed: [reader, ...] -> [...]."""
    return 2 * masks.sum(axis=0) >= len(masks)


def equivalent_diameter(mask: np.ndarray, pixel_spacing: float, slice_spacing: float) -> float:
    """Return the diameter in mm of the ball with the volume of ``mask``.

    >>> round(equivalent_diameter(np.ones((10, 10, 10), bool), 1.0, 1.0), 3)
    12.407
    """
    volume = float(mask.sum()) * pixel_spacing**2 * slice_spacing
    return float(np.cbrt(6 * volume / np.pi))


def _box(contours: list[Contour], slice_spacing: float) -> tuple[np.ndarray, float, tuple]:
    points = np.concatenate([c.points for c in contours])
    low, high = points.min(axis=0), points.max(axis=0)
    heights = [c.z for c in contours]
    slices = 1 + round((max(heights) - min(heights)) / slice_spacing)
    return low, min(heights), (*(int(n) for n in high - low + 1), slices)


def _ramps(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the owner of each item and its place, 0 to count - 1, behind each other."""
    owner = np.repeat(np.arange(len(counts)), counts)
    return owner, np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
