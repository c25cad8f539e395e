"""The image planes of a file: one of a plain slice, many of an enhanced multi-frame image."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from capsmed.data.dicom.header import Header
from capsmed.data.dicom.reading import QUIET, data_set, opened
from capsmed.data.dicom.values import number, numbers, text
from capsmed.errors import DataError

if TYPE_CHECKING:
    from pydicom import Dataset

_MACROS = [
    "PlanePositionSequence",
    "PlaneOrientationSequence",
    "PixelMeasuresSequence",
    "PixelValueTransformationSequence",
    "CTImageFrameTypeSequence",
]
_SHARED, _PER_FRAME = 0x52009229, 0x52009230  # FunctionalGroupsSequence


@dataclass(frozen=True, slots=True)
class Plane:
    """One slice: where it lies and how its stored values become HU.

    Attributes:
        header: of its file.
        frame: its number within the file, from 0.
        number: InstanceNumber; the frame's number, from 1, in a multi-frame image.
        position: centre of the first pixel, LPS mm [3].
        orientation: direction of a row, then of a column, LPS [6].
        spacing: between rows, between columns, mm.
        thickness: mm.
        slope: of its own rescale.
        intercept: of its own rescale.
        rescale_type: unit of the rescaled values, where given.
        localizer: whether it is a scout image.
    """

    header: Header
    frame: int
    number: int | None
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    spacing: tuple[float, ...] | None
    thickness: float | None
    slope: float | None
    intercept: float | None
    rescale_type: str
    localizer: bool

    @property
    def name(self) -> str:
        """Its file's whole path, and its frame where there are several."""
        return self.header.path + (f" frame {self.number}" if self.header.frames > 1 else "")

    @property
    def short(self) -> str:
        """Its file's name, and its frame where there are several."""
        return os.path.basename(self.name)


def planes(header: Header) -> list[Plane]:
    """All planes of one file.

    Raises:
        DataError: the functional groups of a multi-frame image are missing or broken.
    """
    if header.multi_frame:
        return _frames(header)
    return [
        Plane(
            header,
            0,
            header.instance_number,
            header.position,
            header.orientation,
            header.spacing,
            header.thickness,
            header.slope,
            header.intercept,
            header.rescale_type,
            "LOCALIZER" in header.image_type,
        )
    ]


def _frames(header: Header) -> list[Plane]:
    try:
        with QUIET, opened(header.path) as file:
            groups = data_set(file, (_SHARED, _PER_FRAME)).elements
            shared = list(groups[_SHARED].value)[:1] if _SHARED in groups else []
            own = list(groups[_PER_FRAME].value) if _PER_FRAME in groups else []
            if len(own) not in (0, header.frames):
                raise DataError(
                    f"{header.path}: expected the places of {header.frames} frames, got {len(own)}"
                )
            return [_frame(header, n, shared + own[n : n + 1]) for n in range(header.frames)]
    except DataError:
        raise
    except Exception as error:  # pydicom raises many kinds over damaged elements
        raise DataError(f"{header.path}: its functional groups are broken") from error


def _frame(header: Header, frame: int, groups: list[Dataset]) -> Plane:
    data = _merged(groups)
    slope, intercept = number(data, "RescaleSlope"), number(data, "RescaleIntercept")
    kind = text(data, "FrameType") or "\\".join(header.image_type)
    return Plane(
        header,
        frame,
        frame + 1,
        numbers(data, "ImagePositionPatient", 3),
        numbers(data, "ImageOrientationPatient", 6),
        numbers(data, "PixelSpacing", 2),
        number(data, "SliceThickness"),
        header.slope if slope is None else slope,
        header.intercept if intercept is None else intercept,
        text(data, "RescaleType"),
        "LOCALIZER" in kind.split("\\"),
    )


def _merged(groups: list[Dataset]) -> Dataset:
    """What the shared functional groups and then, with precedence, a frame's own ones say."""
    from pydicom import Dataset

    data = Dataset()
    for group in groups:
        for macro in _MACROS:
            for item in list(group.get(macro) or [])[:1]:
                data.update(item)
    return data
