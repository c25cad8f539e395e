"""Points given as a pixel of a DICOM slice: column, row and the slice's number or UID."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from capsmed.data.table import number
from capsmed.data.volume import SlicePlace, Volume
from capsmed.errors import DataError


class Pixel(NamedTuple):
    """A place in a slice.

    Attributes:
        column: from the centre of the slice's first pixel, in pixels.
        row: the same, downwards.
        instance_number: the slice's, as it stands in its file; None where ``sop_uid`` names it.
        sop_uid: '' where the number names it.
    """

    column: float
    row: float
    instance_number: int | None
    sop_uid: str


def read(cells: Mapping[str, str], first_pixel: int) -> Pixel:
    """The place that a row of the table names.

    Args:
        cells: ``column``, ``row``, and ``instance_number`` or ``sop_uid``.
        first_pixel: the number of the first column and row.

    Raises:
        DataError: one of them is missing or no number.
    """
    values = {}
    for name in ("column", "row"):
        value = number(cells[name])
        if value is None or not np.isfinite(value):
            raise DataError(f"{name}: expected a pixel's number, got '{cells[name]}'")
        values[name] = value - first_pixel
    text, uid = cells.get("instance_number", ""), cells.get("sop_uid", "")
    given = number(text) if text else None
    if text and (given is None or not np.isfinite(given) or given != int(given)):
        raise DataError(f"instance_number: expected a whole number, got '{text}'")
    if not text and not uid:
        raise DataError("expected instance_number or sop_uid beside column and row, got neither")
    return Pixel(values["column"], values["row"], None if given is None else int(given), uid)


def to_ras(pixel: Pixel, volume: Volume) -> np.ndarray:
    """Where the pixel lies: slice origin + column * step + row * step, RAS+ mm [3].

    Raises:
        DataError: the image has no slices with numbers, no or several such slices, or the pixel
            lies outside.
    """
    place = _slice(pixel, volume)
    index = np.array([pixel.column, pixel.row])
    if (index < -0.5).any() or (index > np.array(volume.shape[:2]) - 0.5).any():
        raise DataError(
            f"the point lies outside the slice: column {pixel.column:g}, row {pixel.row:g} from "
            f"its first pixel, of {list(volume.shape[:2])}"
        )
    return np.asarray(place.origin) + volume.affine[:3, :2] @ index


def _slice(pixel: Pixel, volume: Volume) -> SlicePlace:
    if not volume.slices:
        raise DataError(f"expected DICOM slices, got a {volume.meta['format']} image; give x, y, z")
    found = [place for place in volume.slices if _fits(pixel, place)]
    if len(found) != 1:
        names = []
        if pixel.instance_number is not None:
            names.append(f"InstanceNumber {pixel.instance_number}")
        if pixel.sop_uid:
            names.append(f"SOPInstanceUID {pixel.sop_uid}")
        raise DataError(f"expected one slice with {' and '.join(names)}, got {len(found)}")
    return found[0]


def _fits(pixel: Pixel, place: SlicePlace) -> bool:
    by_number = pixel.instance_number in (None, place.instance_number)
    return by_number and pixel.sop_uid in ("", place.sop_uid)
