"""The voxels around a place, in the file's own grid, and how to look values up in them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from capsmed.data.volume import Volume

#: Volumes up to this many voxels are read once, whole: 64 MB of float32.
SMALL = 16 * 1024**2


@dataclass(frozen=True)
class Region:
    """A box of an image's own voxels.

    Attributes:
        values: float32 [x, y(, z)(, channels)].
        start: index of its first voxel in the image, int [2 or 3].
        shape: of the whole image, without channels.
        affine: of the whole image, index to RAS+ mm.
    """

    values: np.ndarray
    start: np.ndarray
    shape: tuple[int, ...]
    affine: np.ndarray

    def sample(self, points: np.ndarray) -> np.ndarray:
        """Values at places by linear interpolation; NaN beyond the image and beyond the region.

        Args:
            points: RAS+ mm [..., 3].

        Returns:
            float32 [...], for colour pictures [..., channels].
        """
        index = to_index(points, self.affine)[..., : len(self.shape)]
        known = within(index, self.shape) & within(index - self.start, self.values.shape)
        places = np.moveaxis(index - self.start, -1, 0)
        layers = self.values[..., None] if self.values.ndim == len(self.shape) else self.values
        found = [
            ndimage.map_coordinates(layers[..., k], places, order=1, mode="nearest")
            for k in range(layers.shape[-1])
        ]
        values = np.where(known, np.stack(found), np.nan)
        return values[0] if self.values.ndim == len(self.shape) else np.moveaxis(values, 0, -1)


def region(volume: Volume, centre: np.ndarray, half: np.ndarray) -> Region | None:
    """The voxels of the box ``centre`` +- ``half`` (RAS+ mm) and one more; None if none is there.

    Args:
        volume: the image.
        centre: RAS+ mm [3].
        half: half lengths along the patient's axes, mm [3].
    """
    signs = np.stack(np.meshgrid(*[[-1, 1]] * 3), axis=-1).reshape(-1, 3)
    corners = to_index(centre + signs * half, volume.affine)[:, : len(volume.shape)]
    first = np.clip(np.floor(corners.min(axis=0)) - 1, 0, volume.shape).astype(int)
    last = np.clip(np.ceil(corners.max(axis=0)) + 2, 0, volume.shape).astype(int)
    if (last <= first).any():
        return None
    box = tuple(slice(int(a), int(b)) for a, b in zip(first, last, strict=True))
    return Region(volume.read(box), first, volume.shape, volume.affine)


def kept(volume: Volume) -> Volume:
    """The same volume, its voxels read at once where that is little; else as it is."""
    if np.prod(volume.shape) > SMALL:
        return volume
    values = volume.read(None)
    return replace(volume, read=lambda box: values[box if box is not None else ...])


def to_index(points: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Index coordinates [..., 3] of places in RAS+ mm [..., 3]."""
    inverse = np.linalg.inv(affine)
    return np.asarray(points, dtype=float) @ inverse[:3, :3].T + inverse[:3, 3]


def within(index: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Whether index coordinates [..., n] lie in the voxels of an image, bool [...]."""
    extent = np.array(shape[: index.shape[-1]])
    slack = 0.5 - 1e-6  # on the outermost face no voxel would be nearest
    inside = (index >= -slack) & (index <= extent - 1 + slack)
    return np.asarray(inside.all(axis=-1))


def digest(values: np.ndarray, affine: np.ndarray) -> str:
    """A name for these pixels that does not depend on the file's format or direction of axes.

    Flat pixels have none (''), as all flat boxes are alike.

    Args:
        values: [x, y(, z)(, channels)].
        affine: index to RAS+ mm; axes are put along the patient's before hashing.
    """
    if values.size == 0 or values.min() == values.max():
        return ""
    if values.ndim == 3 and affine.shape == (4, 4):
        values = _along_patient(values, affine[:3, :3])
    rounded = np.ascontiguousarray(np.round(values.astype(np.float64), 2) + 0.0)
    return hashlib.sha256(repr(rounded.shape).encode() + rounded.tobytes()).hexdigest()


def _along_patient(values: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    towards = np.abs(matrix / np.linalg.norm(matrix, axis=0)).argmax(axis=0)
    if sorted(towards) != [0, 1, 2]:
        return values
    order = np.argsort(towards)
    turned = values.transpose(order)
    flips = tuple(
        slice(None, None, -1) if matrix[axis, order[axis]] < 0 else slice(None) for axis in range(3)
    )
    return turned[flips]
