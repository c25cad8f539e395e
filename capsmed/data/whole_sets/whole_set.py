"""Arrays that hold a whole data set: pictures or volumes of one size, labels, official parts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from capsmed.data.volume import type_range


@dataclass(frozen=True)
class WholeSet:
    """All cases of a set whose patients are unknown.

    Attributes:
        images: [case, row, column], [case, row, column, 3] or [case, x, y, z].
        labels: [case] text.
        parts: [case] 'train', 'val' or 'test'; empty when the set has no official split.
        case_ids: [case] unique names, made of part and position.
        value_range: the values that become 0 and 1.
    """

    images: np.ndarray
    labels: list[str]
    parts: list[str]
    case_ids: list[str]
    value_range: tuple[float, float]


def names(part: str, count: int) -> list[str]:
    """Case names 'train-00000', 'train-00001', ... by position in the official file.

    >>> names("test", 2)
    ['test-00000', 'test-00001']
    """
    return [f"{part}-{i:05d}" for i in range(count)]


def range_of(images: np.ndarray) -> tuple[float, float]:
    """The pixel type's range; for other types the smallest and largest value of the set."""
    return type_range(images.dtype) or (float(images.min()), float(images.max()))
