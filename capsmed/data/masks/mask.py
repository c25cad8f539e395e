"""A lesion as voxels in the patient's space, whatever grid they were drawn on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from capsmed.data.volume import Box, Volume
from capsmed.errors import DataError


@dataclass(frozen=True)
class Mask:
    """Voxels inside a lesion, on a grid of their own.

    Two grids are never compared by shape: everything goes through the patient's millimetres.

    Attributes:
        inside: bool [x, y, z].
        affine: 4x4, index (x, y, z) to RAS+ mm.
    """

    inside: np.ndarray
    affine: np.ndarray

    def cropped(self) -> Mask:
        """The same mask on the smallest box of its grid that holds it; an empty one as it is."""
        box = box_of(self.inside)
        if box is None:
            return self
        affine = self.affine.copy()
        affine[:3, 3] += affine[:3, :3] @ [part.start for part in box]
        return Mask(np.ascontiguousarray(self.inside[box]), affine)

    def centroid(self) -> np.ndarray:
        """The mean of its voxels' centres, RAS+ mm [3].

        Raises:
            DataError: the mask is empty.
        """
        return self._centres().mean(axis=0)

    def diameter_mm(self) -> float:
        """Diameter of the sphere with the mask's volume: (6 V / pi)^(1/3).

        Raises:
            DataError: the mask is empty.
        """
        self._check_filled()
        voxel_mm3 = abs(float(np.linalg.det(self.affine[:3, :3])))
        return float((6.0 * int(self.inside.sum()) * voxel_mm3 / np.pi) ** (1 / 3))

    def contains(self, points_ras: np.ndarray) -> np.ndarray:
        """Whether points lie in a voxel of the mask.

        Args:
            points_ras: [..., 3] RAS+ mm.

        Returns:
            bool [...].
        """
        index = np.rint(_indices(self.affine, np.asarray(points_ras, dtype=float))).astype(int)
        within = ((index >= 0) & (index < self.inside.shape)).all(axis=-1)
        held = np.clip(index, 0, np.array(self.inside.shape) - 1)
        return within & self.inside[held[..., 0], held[..., 1], held[..., 2]]

    def touches(self, volume: Volume) -> bool:
        """Whether the centre of one of its voxels lies in the box of a volume's voxels."""
        if not self.inside.any():
            return False
        index = _indices(volume.affine, self._centres())
        return bool(((index >= -0.5) & (index <= np.array(volume.shape) - 0.5)).all(axis=1).any())

    def misfit(self, volume: Volume) -> str:
        """Why it cannot be a lesion of this scan: 'is empty', 'does not touch the scan', or ''."""
        if not self.inside.any():
            return "is empty"
        return "" if self.touches(volume) else "does not touch the scan"

    def _centres(self) -> np.ndarray:
        """Centres of the voxels inside, RAS+ mm [n, 3]."""
        self._check_filled()
        return np.argwhere(self.inside) @ self.affine[:3, :3].T + self.affine[:3, 3]

    def _check_filled(self) -> None:
        if not self.inside.any():
            raise DataError("the mask is empty")


def box_of(inside: np.ndarray) -> Box | None:
    """The smallest box that holds all that is inside, bool [x, y, z]; None where nothing is."""
    around = [np.flatnonzero(inside.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1))]
    if not len(around[0]):
        return None
    return tuple(slice(int(where[0]), int(where[-1]) + 1) for where in around)


def _indices(affine: np.ndarray, points_ras: np.ndarray) -> np.ndarray:
    inverse = np.linalg.inv(affine)
    return points_ras @ inverse[:3, :3].T + inverse[:3, 3]
