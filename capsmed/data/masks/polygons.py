"""Filling closed outlines on a grid of pixels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

_AT_ONCE = 2**18  # crossings


def filled(outlines: Iterable[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """The pixels whose centre lies in an odd number of the outlines: a hole is an outline within.

    Along each line of pixel centres every outline is entered where an edge crosses it and left at
    the next crossing, so the fill is the running parity of the crossings.

    Args:
        outlines: each [n, 2] corners in pixel indices, closed from the last to the first.
        shape: pixels along x and y.

    Returns:
        bool [x, y].
    """
    crossings = np.zeros((shape[0] + 1, shape[1]), dtype=np.int64)
    for corners in outlines:
        for start, end in _edges(corners, shape[1]):
            x, y = _crossings(start, end, shape[1])
            at = np.clip(np.ceil(x), 0, shape[0]).astype(int)
            np.add.at(crossings, (at, y), 1)
    return np.cumsum(crossings[:-1], axis=0) % 2 == 1


def _edges(corners: np.ndarray, lines: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Ends of the edges, each [some, 2], as many at once as may cross all lines."""
    following = np.roll(corners, -1, axis=0)
    some = max(1, _AT_ONCE // max(1, lines))
    for first in range(0, len(corners), some):
        yield corners[first : first + some], following[first : first + some]


def _crossings(one: np.ndarray, other: np.ndarray, lines: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the edges cross the lines y = 0, 1, ...: x (float) and y (int) of each crossing.

    An edge holds its lower end and not its upper one, so that a corner counts once.
    """
    rises = (one[:, 1] <= other[:, 1])[:, None]
    start, end = np.where(rises, one, other), np.where(rises, other, one)
    first = np.clip(np.ceil(start[:, 1]), 0, lines).astype(int)
    count = np.clip(np.ceil(end[:, 1]), 0, lines).astype(int) - first
    edge = np.repeat(np.arange(len(one)), count)
    y = first[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count)
    rise = end[edge, 1] - start[edge, 1]
    x = start[edge, 0] + (y - start[edge, 1]) / rise * (end[edge, 0] - start[edge, 0])
    return x, y
