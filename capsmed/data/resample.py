"""A grid laid over a volume: where its points are, in voxels, and the values there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

_BORDER = 0.5 + 1e-6  # a voxel reaches half a step beyond its centre
_ALIGNED = 1e-6  # voxels that a grid's point may lie beside an axis to be taken as on it
_TRUNCATE = 3.0  # standard deviations at which the Gaussian ends


@dataclass(frozen=True)
class Grid:
    """Points origin + matrix @ (i, j, k) in index coordinates of a volume.

    Attributes:
        matrix: [axes, axes], a column for each axis of the grid: its step, in voxels.
        origin: [axes], where the grid's first point lies.
        size: points along each axis of the grid.
    """

    matrix: np.ndarray
    origin: np.ndarray
    size: tuple[int, ...]

    @property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest index coordinates of its points, [axes] each."""
        ends = np.stack([self.matrix * 0, self.matrix * (np.array(self.size) - 1)])
        return self.origin + ends.min(0).sum(1), self.origin + ends.max(0).sum(1)

    @property
    def sd(self) -> np.ndarray:
        """Sd in voxels [axes] of the Gaussian that keeps coarser grids from aliasing.

        It is (f - 1) / 2 where the grid's step along an axis of the volume is f voxels, the rule
        of scikit-image's ``resize``; 0 where the grid is as fine as the volume or finer.
        """
        return np.maximum(np.linalg.norm(self.matrix, axis=1) - 1, 0) / 2

    def box(self, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """First voxel, and the one after the last, that its values depend on: int [axes] each."""
        low, high = self.bounds
        reach, end = np.ceil(_TRUNCATE * self.sd) + 1, np.array(shape)
        first = np.clip(np.floor(low - reach), 0, end - 1).astype(int)
        return first, np.clip(np.ceil(high + reach) + 1, first + 1, end).astype(int)

    def moved(self, by: np.ndarray) -> Grid:
        """The same grid, counted from another voxel."""
        return Grid(self.matrix, self.origin + by, self.size)

    def share_outside(self, shape: tuple[int, ...]) -> float:
        """Share of its points, 0 to 1, that lie in no voxel of a volume of this shape."""
        end = np.array(shape) - 1 + _BORDER
        low, high = self.bounds
        if (low >= -_BORDER).all() and (high <= end).all():
            return 0.0
        steps = np.ogrid[tuple(slice(n) for n in self.size)]
        inside = np.ones(self.size, dtype=bool)
        for axis, row in enumerate(self.matrix):
            place = self.origin[axis] + sum(
                step * count for step, count in zip(row, steps, strict=True)
            )
            inside &= (place >= -_BORDER) & (place <= end[axis])
        return 1 - float(inside.mean())


def resample(values: np.ndarray, grid: Grid, outside: float) -> np.ndarray:
    """Values at the points of a grid: a Gaussian of ``grid.sd``, then linear interpolation.

    A grid along the volume's axes, in any order and direction, needs a small matrix for each
    axis; that is five times as fast as the general way and differs from it by rounding only.

    Args:
        values: float32 [x, y, z], the voxels that ``grid.origin`` counts from.
        grid: in index coordinates of ``values``.
        outside: the value of everything beyond the border.

    Returns:
        float32 [*grid.size].
    """
    along = _axes_along(grid)
    if along is None:
        return _general(values, grid, outside)
    taps = [
        _linear(n, grid.origin[axis], grid.matrix[axis, to], grid.size[to])
        @ _gaussian(n, grid.sd[axis])
        for axis, (n, to) in enumerate(zip(values.shape, along, strict=True))
    ]
    found = values - np.float32(outside)  # what lies outside counts nothing
    for axis in sorted(range(len(taps)), key=lambda axis: np.divide(*taps[axis].shape)):
        product = np.tensordot(taps[axis].astype(np.float32), found, axes=(1, axis))
        found = np.moveaxis(product, 0, axis)
    return np.ascontiguousarray(found.transpose(np.argsort(along))) + np.float32(outside)


def _axes_along(grid: Grid) -> list[int] | None:
    """The grid's axis that runs along each axis of the volume; None for an oblique grid."""
    along = [int(axis) for axis in np.abs(grid.matrix).argmax(axis=1)]
    beside = np.abs(grid.matrix) * (np.array(grid.size) - 1)
    beside[np.arange(len(along)), along] = 0
    aligned = sorted(along) == list(range(len(along))) and beside.sum(axis=1).max() < _ALIGNED
    return along if aligned else None


def _general(values: np.ndarray, grid: Grid, outside: float) -> np.ndarray:
    if (grid.sd > 0).any():
        values = ndimage.gaussian_filter(values, grid.sd, mode="nearest", truncate=_TRUNCATE)
    return ndimage.affine_transform(
        values,
        grid.matrix,
        grid.origin,
        output_shape=grid.size,
        order=1,
        mode="grid-constant",
        cval=outside,
    )


def _gaussian(n: int, sd: float) -> np.ndarray:
    """Matrix [n, n] that smooths n voxels, the outermost repeated beyond the border."""
    reach = int(_TRUNCATE * sd + 0.5)
    if reach == 0:
        return np.eye(n)
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (offsets / sd) ** 2)
    rows = np.repeat(np.arange(n), len(offsets)).reshape(n, -1)
    matrix = np.zeros((n, n))
    np.add.at(matrix, (rows, np.clip(rows + offsets, 0, n - 1)), weights / weights.sum())
    return matrix


def _linear(n: int, first: float, step: float, size: int) -> np.ndarray:
    """Matrix [size, n] that interpolates n voxels at first, first + step, ...; 0 beyond them."""
    places = first + step * np.arange(size)
    return np.maximum(0, 1 - np.abs(places[:, None] - np.arange(n)))
