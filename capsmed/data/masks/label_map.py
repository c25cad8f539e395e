"""A mask in any image format: labels as voxel values."""

from __future__ import annotations

from capsmed.data.masks import slabs
from capsmed.data.masks.mask import Mask
from capsmed.data.table import number
from capsmed.data.volume import Volume
from capsmed.errors import DataError

_LISTED = 20


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
    if not segment:
        return slabs.where(volume, lambda values: values > 0.5)
    wanted = number(segment)
    if wanted is not None:
        mask = slabs.where(volume, lambda values: values == wanted)
        if mask.inside.any():
            return mask
    shown = ", ".join(f"{label:g}" for label in slabs.lowest(volume, _LISTED)) or "none"
    raise DataError(f"mask_segment: no label {segment!r}; the mask's labels are {shown}")
