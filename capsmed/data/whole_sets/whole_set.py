"""Arrays that hold a whole data set: pictures or volumes of one size, labels, official parts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from capsmed.data.volume import type_range
from capsmed.errors import DataError

PARTS = ("train", "val", "test")


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


def check(found: WholeSet, where: str) -> None:
    """Refuse what contradicts itself.

    Args:
        found: what a reader gave.
        where: opens the message.

    Raises:
        DataError: no whole set, counts that differ, names used twice, parts or axes that are none.
    """
    if not isinstance(found, WholeSet):
        raise DataError(f"{where}: expected a WholeSet, got {type(found).__name__}")
    count = len(found.images)
    if found.images.ndim not in (3, 4):
        shape = list(found.images.shape)
        raise DataError(f"{where}: expected images [case, ...] with 2 or 3 axes, got {shape}")
    for what, listed in (("labels", found.labels), ("case_ids", found.case_ids)):
        if len(listed) != count:
            raise DataError(f"{where}: expected {count} {what}, one a case, got {len(listed)}")
    if len(found.parts) not in (0, count) or not set(found.parts) <= set(PARTS):
        got = f"{len(found.parts)} of {', '.join(sorted(set(found.parts)))}"
        raise DataError(f"{where}: expected {count} parts of {', '.join(PARTS)} or none, got {got}")
    if len(set(found.case_ids)) != count:
        raise DataError(f"{where}: expected case_ids that differ, got some of them twice")


def names(part: str, count: int) -> list[str]:
    """Case names 'train-00000', 'train-00001', ... by position in the official file.

    >>> names("test", 2)
    ['test-00000', 'test-00001']
    """
    return [f"{part}-{i:05d}" for i in range(count)]


def range_of(images: np.ndarray) -> tuple[float, float]:
    """The pixel type's range; for other types the smallest and largest value of the set."""
    return type_range(images.dtype) or (float(images.min()), float(images.max()))
