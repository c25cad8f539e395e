"""A mask in any image format: labels as voxel values."""

from __future__ import annotations

import numpy as np

from capsmed.data.masks.mask import Mask
from capsmed.data.table import number
from capsmed.data.volume import Volume
from capsmed.errors import DataError


def read(volume: Volume, segment: str) -> Mask:
    """The voxels that hold the number ``segment``; for '' all above 0.5.

    Raises:
        DataError: not 3D, without millimetres, or no such label; those there are, are listed.
    """
    if not volume.has_mm or len(volume.shape) != 3:
        raise DataError(
            f"expected a 3D mask in mm, got a {volume.meta['format']} image of "
            f"{len(volume.shape)} axes{'' if volume.has_mm else ' without millimetres'}"
        )
    values = volume.read(None)
    return Mask(inside(values, segment), volume.affine).cropped()


def inside(values: np.ndarray, segment: str) -> np.ndarray:
    """Where ``values`` hold a label, bool of the same shape.

    Raises:
        DataError: ``segment`` is no number, or not among the labels.
    """
    if not segment:
        return np.asarray(values > 0.5)
    wanted = number(segment)
    chosen = np.zeros(values.shape, bool) if wanted is None else values == wanted
    if not chosen.any():
        labels = np.unique(values[np.isfinite(values) & (values != 0)])
        shown = ", ".join(f"{label:g}" for label in labels[:20]) or "none"
        raise DataError(f"mask_segment: no label {segment!r}; the mask's labels are {shown}")
    return np.asarray(chosen)
