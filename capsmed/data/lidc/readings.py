"""What the readers of LIDC-IDRI drew and rated, one scan at a time, from either source of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from capsmed.data.lidc.outlines import Contour


@dataclass(frozen=True)
class Reading:
    """One reader's reading of one nodule of 3 mm or more.

    Attributes:
        ratings: by the names of ``outlines.RATINGS``.
        malignancy: 1 to 5.
        contours: their ``z`` is the DICOM position in mm; all of reader 0.
        slices: SOPInstanceUID of each contour's slice; '' where the source does not say.
        reader: number of the reading session; None where the source does not say.
    """

    ratings: Mapping[str, int]
    malignancy: int
    contours: tuple[Contour, ...]
    slices: tuple[str, ...]
    reader: int | None = None


class Annotations(Protocol):
    """A source of readings.

    Attributes:
        name: what the source is, for messages.
        patients: patient id ('' where unknown) by SeriesInstanceUID.
        damaged: files that could not be read.
    """

    name: str
    patients: Mapping[str, str]
    damaged: int

    def readings(self, series_uid: str) -> tuple[list[Reading], Counter[str]]:
        """The readings of a scan, and how many marks are none by reason."""


def contour(points: Iterable[tuple[int, int]], z: float, inclusion: bool) -> Contour:
    """A contour of pixels (column, row); a closing point that repeats the first is cut."""
    found = np.array(list(points), int).reshape(-1, 2)
    if len(found) > 1 and (found[0] == found[-1]).all():
        found = found[:-1]
    return Contour(0, z, inclusion, found)
