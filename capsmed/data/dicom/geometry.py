"""Where a stack of slices lies: order, gaps, steps, tilt. Positions are LPS, mm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SAME_PLACE_MM = 0.01  # closer than this, two slices are one
OFF_THE_LINE_MM = 0.1  # a slice shifted sideways by more spoils the in-plane coordinates
TILT_DEGREES = 0.1


@dataclass(frozen=True)
class Steps:
    """How slices follow one another along the normal.

    Attributes:
        usual: the usual distance of neighbours, mm.
        numbers: place of each slice on the even grid; whole when ``even``.
        count: places on the even grid.
        step: distance of its places, mm.
        even: whether every slice lies on the grid, within ``tolerance``.
        missing: places of the grid without a slice, when it is even.
        gaps: distances of neighbours, mm.
    """

    usual: float
    numbers: np.ndarray
    count: int
    step: float
    even: bool
    missing: int
    gaps: np.ndarray


def tolerance(step: float) -> float:
    """How far a slice may lie from its place on an even grid, mm."""
    return max(0.06, 0.01 * step)  # positions rounded to a tenth are 0.05 off


def directions(orientation: tuple[float, ...]) -> np.ndarray:
    """Unit vectors [3, 3]: along a row, along a column, and their normal."""
    row, column = np.array(orientation).reshape(2, 3)
    return np.stack([row, column, np.cross(row, column)])


def is_orthonormal(orientation: tuple[float, ...]) -> bool:
    """Whether row and column direction are perpendicular unit vectors, to a thousandth."""
    row, column = orientation[:3], orientation[3:]
    products = ((row, row, 1), (column, column, 1), (row, column, 0))  # plain: NumPy is slower
    return all(
        abs(sum(a * b for a, b in zip(one, other, strict=True)) - wanted) < 2e-3
        for one, other, wanted in products
    )


def steps(along: np.ndarray) -> Steps:
    """Fit an even grid from the first to the last of increasing positions ``along`` the normal.

    The usual distance is the lower median, so that gaps do not raise it. When every slice lies
    on whole steps of it, the slices between are missing; otherwise the steps are uneven and the
    grid divides the whole length into steps as near to the usual one as can be.
    """
    gaps = np.diff(along)
    usual = float(np.sort(gaps)[(len(gaps) - 1) // 2])
    length = float(along[-1] - along[0])
    numbers = np.concatenate([[0], np.cumsum(np.maximum(1, np.round(gaps / usual)))])
    step = length / numbers[-1]
    off = np.abs(along - along[0] - numbers * step).max()
    if off <= tolerance(usual):
        count = int(numbers[-1]) + 1
        return Steps(usual, numbers, count, step, True, count - len(along), gaps)
    count = max(1, round(length / usual)) + 1
    step = length / (count - 1)
    return Steps(usual, (along - along[0]) / step, count, step, False, 0, gaps)


def neighbours(numbers: np.ndarray, count: int) -> list[tuple[int, int, float]]:
    """For each place of the even grid the two slices around it and the second one's share."""
    after = np.searchsorted(numbers, np.arange(count), side="left").clip(0, len(numbers) - 1)
    found = []
    for place, right in enumerate(after.tolist()):
        if right == 0 or abs(numbers[right] - place) < 1e-6:
            found.append((right, right, 0.0))
            continue
        width = numbers[right] - numbers[right - 1]
        found.append((right - 1, right, float((place - numbers[right - 1]) / width)))
    return found


def off_the_line(positions: np.ndarray, along: np.ndarray) -> float:
    """Largest distance of a slice's origin from the line through the first and the last, mm."""
    share = ((along - along[0]) / (along[-1] - along[0]))[:, None]
    line = positions[0] + share * (positions[-1] - positions[0])
    return float(np.linalg.norm(positions - line, axis=1).max())


def tilt(direction: np.ndarray, normal: np.ndarray) -> float:
    """Angle between the way from slice to slice and their normal, degrees."""
    across = np.linalg.norm(np.cross(direction, normal))
    return float(np.degrees(np.arctan2(across, abs(direction @ normal))))


def affine(
    axes: np.ndarray, spacing: tuple[float, ...], origin: np.ndarray, step: np.ndarray
) -> np.ndarray:
    """4x4, from index x (column), y (row), z (slice) to RAS+ mm.

    Args:
        axes: row, column and normal direction [3, 3], LPS.
        spacing: DICOM's PixelSpacing: between rows, between columns, mm.
        origin: centre of the first pixel of the first slice, LPS mm [3].
        step: from a slice to the next, LPS mm [3].
    """
    between_rows, between_columns = spacing
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([axes[0] * between_columns, axes[1] * between_rows, step], axis=1)
    matrix[:3, 3] = origin
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ matrix
