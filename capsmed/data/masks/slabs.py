"""Reading a mask in any image format slab by slab: as a whole it may be as large as a scan."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from capsmed.data.masks.mask import Mask
from capsmed.data.masks.parts import Part, cut_out, joined
from capsmed.data.volume import Box, Volume

_VOXELS = 2**23  # of a slab
_MOST_SLABS = 8  # for each, a compressed file is unpacked from its beginning


def where(volume: Volume, chosen: Callable[[np.ndarray], np.ndarray]) -> Mask:
    """The voxels whose values ``chosen`` picks, bool of their shape, on the box that holds them."""

    def part(box: Box) -> Part | None:
        return cut_out(np.asarray(chosen(volume.read(box))), (0, 0, box[2].start))

    return joined(map(part, _boxes(volume)), volume.affine, volume)


def lowest(volume: Volume, count: int) -> np.ndarray:
    """The lowest different finite values other than 0, in order."""

    def some(box: Box) -> np.ndarray:
        values = volume.read(box)
        return np.unique(values[np.isfinite(values) & (values != 0)])[:count]

    found: np.ndarray = np.unique(np.concatenate([some(box) for box in _boxes(volume)]))
    return found[:count]


def _boxes(volume: Volume) -> Iterator[Box]:
    depth = volume.shape[2]
    thick = max(1, _VOXELS // math.prod(volume.shape[:2]), -(-depth // _MOST_SLABS))
    for first in range(0, depth, thick):
        yield slice(None), slice(None), slice(first, min(first + thick, depth))
