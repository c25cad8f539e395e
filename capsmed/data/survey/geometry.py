"""Where the crop box of a case lies, and which pixels name box and image."""

from __future__ import annotations

import numpy as np

from capsmed import config
from capsmed.data.survey.region import Region, digest, to_index
from capsmed.data.volume import Volume

#: Voxels of the block in the middle of an image by which two files are told to be one image.
BLOCK = (64, 64, 8)


def suited(patch: config.Patch, volume: Volume) -> config.Patch:
    """The crop box as far as an image of this kind can have it.

    A picture is shown whole when the box has three dimensions; where millimetres are unknown, the
    box is counted in the image's own voxels.
    """
    if len(volume.shape) < patch.spatial_dims:
        whole = {"spatial_dims": 2, "size": volume.shape, "spacing": None}
        return patch.model_copy(update=whole)
    return patch if volume.has_mm else patch.model_copy(update={"spacing": None})


def box_lengths(volume: Volume, patch: config.Patch) -> np.ndarray:
    """Lengths of the box of a `suited` patch along the patient's axes, mm [3]; pixels [2]."""
    dims = len(volume.shape)
    size = np.array(patch.size, dtype=float)
    if dims == 2:
        return size
    if patch.spacing is None:
        size = size if len(size) == 3 else np.append(size, 1.0)
        return np.abs(volume.affine[:3, :3]) @ size
    spacing = np.broadcast_to(np.asarray(patch.spacing, dtype=float), len(size))
    lengths = size * spacing
    return lengths if len(size) == 3 else np.append(lengths, volume.spacing.min())


def inside_box(region: Region, point: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The region's own voxels in the box around the point, [x, y(, z)(, channels)].

    For an oblique image: those in the box of indices that holds it.
    """
    dims = len(region.shape)
    inverse = np.linalg.inv(region.affine)[:dims, :dims]
    half = np.abs(inverse) @ (lengths[:dims] / 2)
    index = to_index(point, region.affine)[:dims] - region.start
    first = np.clip(np.ceil(np.round(index - half, 3)), 0, None).astype(int)
    last = np.floor(np.round(index + half, 3)).astype(int) + 1
    last = np.maximum(last, first)
    return region.values[tuple(slice(a, b) for a, b in zip(first, last, strict=True))]


def image_digest(volume: Volume) -> str:
    """A name for the image by the block in its middle, whatever its format and axes."""
    shape = np.array(volume.shape)
    if len(shape) == 2:
        return digest(volume.read(None), volume.affine)
    width = np.minimum(shape, np.array(BLOCK))
    width -= (shape - width) % 2 * (width > 1)  # the middle stays the middle when axes are turned
    first = (shape - width) // 2
    box = tuple(slice(int(a), int(a + n)) for a, n in zip(first, width, strict=True))
    return digest(volume.read(box), volume.affine)
