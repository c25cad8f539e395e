"""What is known of one case once it was looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from capsmed.data.survey.frames import Evidence

Level = Literal["mend", "look"]


@dataclass(frozen=True)
class Note:
    """Something to be said of a case.

    Attributes:
        level: 'mend' before training, or 'look' whether it is meant.
        what: in few words that many cases share, to be counted; free of paths and patient ids.
        detail: for the terminal; may name files and values. '' when ``what`` says all.
    """

    level: Level
    what: str
    detail: str = ""


@dataclass(frozen=True)
class Box:
    """Values inside the crop box, as stored (HU in CT): the image's own voxels.

    Attributes:
        low, first, median, last, high: smallest, 1st, 50th, 99th percentile, largest.
        padded: share of the patch that lies beyond the image.
        digest: the same for the same pixels; '' for flat ones.
    """

    low: float
    first: float
    median: float
    last: float
    high: float
    padded: float
    digest: str


@dataclass(frozen=True)
class Case:
    """One row of the table with what its image showed.

    Attributes:
        position: place among the rows, from 0.
        image: the table's cell; never printed.
        left_out: reason of the rows that do not take part, such as a label that is not listed.
        point: RAS+ mm, or column, row, 0 of pictures; None where the image was not read.
        point_from: 'x, y, z', 'pixel', 'markup', 'mask' or 'image centre'.
        spacing: mm along the index axes; empty when the image knows no millimetres.
        image_digest: the same for the same image, whatever its format; '' where unknown.
        given, mirrored: evidence at the point in the frame it was read in and in the other one.
        cells: the row's other columns.
    """

    position: int
    case_id: str
    patient_id: str
    label: str
    image: str
    left_out: str = ""
    diameter_mm: float = float("nan")
    diameter_from: str = ""
    point: np.ndarray | None = None
    point_from: str = ""
    shape: tuple[int, ...] = ()
    spacing: tuple[float, ...] = ()
    meta: Mapping[str, str] = field(default_factory=dict)
    box: Box | None = None
    has_mask: bool = False
    image_digest: str = ""
    given: Evidence | None = None
    mirrored: Evidence | None = None
    cells: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()

    @property
    def bad(self) -> bool:
        """Whether something of the case must be mended."""
        return any(note.level == "mend" for note in self.notes)
