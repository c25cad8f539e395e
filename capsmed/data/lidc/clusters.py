"""Which readings are of the same nodule: their outlines overlap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from capsmed.data.lidc.outlines import Contour, reader_masks
from capsmed.data.lidc.readings import Reading

OVERLAP = 0.2  # of the smaller outline: two readers mean the same nodule
STRICTER = (0.2, 0.3, 0.4, 0.5)  # of both outlines together, where the rule above joins too many
READERS = 4  # of a scan of LIDC-IDRI, at most


@dataclass(frozen=True)
class Outlined:
    """A reading on the grid of its scan.

    Attributes:
        reading: as its source gives it.
        contours: those that are placed.
        voxels: sorted numbers of the voxels it encloses, one number a voxel of the scan.
    """

    reading: Reading
    contours: tuple[Contour, ...]
    voxels: np.ndarray


Same = Callable[[Outlined, Outlined], bool]


def outlined(
    reading: Reading, contours: tuple[Contour, ...], base: float, slice_spacing: float
) -> Outlined:
    """The reading with what its contours enclose.

    Args:
        reading: as its source gives it.
        contours: its contours; ``z`` in the unit of the two numbers that follow.
        base: height of the scan's lowest slice.
        slice_spacing: from slice to slice.
    """
    mask = reader_masks(contours, slice_spacing)[0]
    low = np.concatenate([c.points for c in contours]).min(axis=0)
    lowest = round((min(c.z for c in contours) - base) / slice_spacing)
    column, row, level = (np.argwhere(mask) + [*low, lowest]).T
    return Outlined(reading, contours, np.sort((column << 40) + (row << 20) + level))


def same_nodule(one: Outlined, other: Outlined) -> bool:
    """Say whether two outlines share at least ``OVERLAP`` of the smaller one's voxels."""
    smaller = min(len(one.voxels), len(other.voxels))
    return _common(one, other) >= OVERLAP * smaller


def clusters(readings: Sequence[Outlined], same: Same = same_nodule) -> list[list[Outlined]]:
    """Group readings whose outlines overlap, directly or through a third reading."""
    groups: list[list[Outlined]] = []
    for reading in readings:
        joined = [g for g in groups if any(same(reading, other) for other in g)]
        groups = [g for g in groups if not any(g is other for other in joined)]
        groups.append([r for g in joined for r in g] + [reading])
    return groups


def crowded(group: Sequence[Outlined]) -> bool:
    """Say whether a group has more readings than the scan has readers, or two by one reader."""
    known = [r.reading.reader for r in group if r.reading.reader is not None]
    return len(group) > READERS or len(set(known)) < len(known)


def told_apart(group: list[Outlined], shares: tuple[float, ...] = STRICTER) -> list[list[Outlined]]:
    """Split a crowded group: one reader's outline may have joined two nodules of the others.

    Two outlines must then share 20, 30, 40, at last 50% of both together. What stays crowded is
    given as it is.
    """
    if not crowded(group) or not shares:
        return [group]
    parts = clusters(group, lambda a, b: _common(a, b) >= shares[0] * _union(a, b))
    return [part for whole in parts for part in told_apart(whole, shares[1:])]


def once_each(group: Sequence[Outlined]) -> list[Outlined]:
    """The largest reading of each reader; those of unknown readers all stay."""
    largest: dict[int, Outlined] = {}
    for reading in group:
        number = reading.reading.reader
        if number is None:
            return list(group)
        before = largest.get(number)
        if before is None or len(reading.voxels) > len(before.voxels):
            largest[number] = reading
    return list(largest.values())


def _common(one: Outlined, other: Outlined) -> int:
    return len(np.intersect1d(one.voxels, other.voxels, assume_unique=True))


def _union(one: Outlined, other: Outlined) -> int:
    return len(one.voxels) + len(other.voxels) - _common(one, other)
