r"""The discrete Fourier transform of real arrays as one real matrix.

A real array of ``size`` has as many independent real coefficients as numbers. Its frequencies come
in pairs ``f`` and ``-f`` whose coefficients are conjugate, so of each pair one is kept, as a real
and an imaginary part; frequencies that are their own partner have a real part only. The order is:
real parts of the single frequencies, real parts of the pairs, imaginary parts of the pairs.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np


@dataclass(frozen=True)
class RealFourier:
    """Matrices of one size of array.

    Attributes:
        singles: how many frequencies are their own partner.
        pairs: how many pairs there are; singles + 2 pairs is the number of coefficients.
        forward: ``[coefficients, numbers]``: coefficients of an array, its numbers in row-major
            order.
        inverse: ``[numbers, coefficients]``: the array again.
    """

    singles: int
    pairs: int
    forward: np.ndarray
    inverse: np.ndarray

    @property
    def conjugate(self) -> np.ndarray:
        """Coefficients of the array read backwards: the imaginary parts change their sign."""
        turned = self.forward.copy()
        turned[self.singles + self.pairs :] *= -1
        return turned


@lru_cache(maxsize=64)
def real_fourier(size: tuple[int, ...]) -> RealFourier:
    """Matrices in float64 for arrays of ``size``."""
    frequencies = list(itertools.product(*(range(n) for n in size)))
    partner = [tuple(-f % n for f, n in zip(each, size, strict=True)) for each in frequencies]
    both = list(zip(frequencies, partner, strict=True))
    single = [f for f, p in both if f == p]
    paired = [f for f, p in both if f < p]
    positions = np.array(frequencies)
    real, _ = _waves(single, positions, size)
    pair_real, pair_imaginary = _waves(paired, positions, size)
    forward = np.concatenate([real, pair_real, pair_imaginary])
    counts = np.concatenate([np.ones(len(single)), np.full(2 * len(paired), 2.0)])
    inverse = (forward * counts[:, None]).T / math.prod(size)
    return RealFourier(len(single), len(paired), forward, inverse)


def _waves(
    frequencies: list[tuple[int, ...]], positions: np.ndarray, size: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Cosine and minus sine of each frequency at each position, ``[frequencies, positions]``."""
    turns = np.array(frequencies, dtype=float).reshape(-1, len(size)) / np.array(size)
    angles = 2 * np.pi * (turns @ positions.T)
    return np.cos(angles), -np.sin(angles)
