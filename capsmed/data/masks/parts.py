"""Putting a mask together from boxes of voxels, in no more memory than they are worth."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from capsmed.data.masks.mask import Mask, box_of
from capsmed.data.volume import Volume
from capsmed.errors import DataError

_FREE = 2**27  # voxels, of one byte: a chest CT of 512 slices
_MOST_EMPTY = 4  # voxels of the whole for each of the parts


class Part(NamedTuple):
    """A box of a grid.

    Attributes:
        start: index of its first voxel.
        inside: bool [x, y, z].
    """

    start: tuple[int, int, int]
    inside: np.ndarray


def cut_out(inside: np.ndarray, start: tuple[int, int, int]) -> Part | None:
    """The smallest box that holds what is inside, copied; None where nothing is.

    Args:
        inside: bool [x, y, z].
        start: index of its first voxel in the grid.
    """
    box = box_of(inside)
    if box is None:
        return None
    x, y, z = (first + part.start for first, part in zip(start, box, strict=True))
    return Part((x, y, z), inside[box].copy())


def joined(found: Iterable[Part | None], affine: np.ndarray, scan: Volume | None) -> Mask:
    """All parts on the smallest box that holds them; one voxel outside, where there are none.

    Args:
        found: parts of one grid; where they overlap, they unite.
        affine: of the grid, index to RAS+ mm.
        scan: an image as large as which the mask may be.

    Raises:
        DataError: the parts lie so far apart that the box is almost all empty, and huge.
    """
    parts = [part for part in found if part is not None]
    if not parts:
        return Mask(np.zeros((1, 1, 1), dtype=bool), affine)
    starts = np.array([part.start for part in parts])
    low = starts.min(axis=0)
    size = (starts + [part.inside.shape for part in parts]).max(axis=0) - low
    _check_room(size.tolist(), sum(part.inside.size for part in parts), scan)
    inside = np.zeros(size, dtype=bool)
    for start, part in zip((starts - low).tolist(), parts, strict=True):
        box = tuple(slice(a, a + n) for a, n in zip(start, part.inside.shape, strict=True))
        inside[box] |= part.inside
    moved = affine.copy()
    moved[:3, 3] += affine[:3, :3] @ low
    return Mask(inside, moved)


def _check_room(size: list[int], held: int, scan: Volume | None) -> None:
    own = math.prod(scan.shape) if scan is not None else 0
    if math.prod(size) > max(_FREE, _MOST_EMPTY * held, own):
        raise DataError(
            f"expected a mask about as large as a scan, got {' x '.join(map(str, size))} voxels, "
            "almost all of them empty: parts of it lie far away"
        )
