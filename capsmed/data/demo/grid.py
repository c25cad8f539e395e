"""A fine isotropic grid to paint on, and the maps from it to a scan's voxels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr


@dataclass(frozen=True)
class Grid:
    """Points ``low + step * (i, j, k)``: mm, RAS+, the nodule's point as origin."""

    low: tuple[float, ...]
    step: float
    shape: tuple[int, ...]

    @classmethod
    def around(cls, low: np.ndarray, high: np.ndarray, step: float) -> Grid:
        """Return the smallest grid that reaches from ``low`` to ``high``."""
        shape = np.ceil((high - low) / step).astype(int) + 1
        return cls(tuple(map(float, low)), step, tuple(shape.tolist()))

    def axis(self, number: int) -> np.ndarray:
        """Return the coordinates along one axis, mm."""
        return self.low[number] + self.step * np.arange(self.shape[number])

    def box(self, low: np.ndarray, high: np.ndarray) -> tuple[slice, ...]:
        """Return the part of the grid between two corners, cut at the grid's ends."""
        first = np.floor((low - self.low) / self.step).astype(int)
        last = np.ceil((high - self.low) / self.step).astype(int) + 1
        return tuple(
            slice(max(0, a), max(0, min(n, b)))
            for a, b, n in zip(first, last, self.shape, strict=True)
        )

    def part(self, box: tuple[slice, ...]) -> tuple[np.ndarray, ...]:
        """Return the open mesh of coordinates of a box: arrays that broadcast to its shape."""
        pairs = zip(self.low, box, strict=True)
        return np.ix_(*(low + self.step * np.arange(s.start, s.stop) for low, s in pairs))


def separable(volume: np.ndarray, matrices: Sequence[np.ndarray]) -> np.ndarray:
    """Apply one matrix [out, in] to each axis of a 3D volume, the most shrinking one first."""
    for axis in sorted(range(3), key=lambda a: matrices[a].shape[0] / matrices[a].shape[1]):
        matrix = matrices[axis]
        if axis == 0:
            shape = (len(matrix), *volume.shape[1:])
            volume = (matrix @ volume.reshape(len(volume), -1)).reshape(shape)
        else:
            volume = matrix @ volume if axis == 1 else volume @ matrix.T
    return volume


def smooth_field(rng: np.random.Generator, grid: Grid, scale: float) -> np.ndarray:
    """Return smooth noise of unit variance that varies over about ``scale`` mm.

    White noise on knots ``scale`` apart, joined by cubic B-splines.
    """
    matrices = []
    for number in range(3):
        place = (grid.axis(number) - grid.low[number]) / scale
        matrices.append(_spline(place[:, None] - np.arange(-1, np.ceil(place[-1]) + 2)))
    field = separable(rng.standard_normal([m.shape[1] for m in matrices]), matrices)
    return field / np.sqrt(np.mean(field**2))


def sampling(fine: np.ndarray, coarse: np.ndarray, width: float, blur: float) -> np.ndarray:
    """Return the matrix [coarse, fine] of a voxel ``width`` wide seen through a Gaussian blur.

    Each coarse value is the mean over a box convolved with the point spread: partial volume.
    """
    gap = np.abs(fine[None, :] - coarse[:, None])
    weights = ndtr((gap + width / 2) / blur) - ndtr((gap - width / 2) / blur)
    return weights / weights.sum(axis=1, keepdims=True)


def linear(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the matrix [target, source] of linear interpolation; the ends are held."""
    place = np.clip((target - source[0]) / (source[1] - source[0]), 0, len(source) - 1)
    return np.clip(1 - np.abs(place[:, None] - np.arange(len(source))), 0, None)


def _spline(t: np.ndarray) -> np.ndarray:
    t = np.abs(t)
    return np.where(t < 1, 2 / 3 - t**2 + t**3 / 2, np.clip(2 - t, 0, None) ** 3 / 6)
