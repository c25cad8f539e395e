"""A DICOM series as a lazy Volume: its slices chosen, ordered, checked and put on an even grid."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from capsmed.data.dicom import geometry
from capsmed.data.dicom.frames import Plane, planes
from capsmed.data.dicom.indexing import Series
from capsmed.data.dicom.meaning import check_values
from capsmed.data.dicom.pixels import Stack
from capsmed.data.dicom.stacking import grid
from capsmed.data.volume import Finding, SlicePlace, Volume, type_range
from capsmed.errors import CheckFailed, DataError

_FARTHEST_MM = 1e5
_SAME = 5e-4  # of direction cosines and mm: 0.2 mm at the far edge of a chest


def describe(series: Series) -> dict[str, str]:
    """What a table says about a series; a file's own text, '' where it says nothing."""
    first = series.headers[0]
    thickness = first.thickness
    return {
        "format": "dicom",
        "patient_id": first.patient_id,
        "study_uid": first.study_uid,
        "series_uid": first.series_uid,
        "modality": first.modality,
        **dict(first.texts),
        "slice_thickness": "" if thickness is None else f"{thickness:g}",
        "transfer_syntax": first.syntax,
    }


def open_series(series: Series) -> Volume:
    """The series as a Volume; no pixel is read yet.

    A tilted gantry is kept as the shear it is: the third axis is the step from slice to slice.

    Raises:
        CheckFailed: a check fails so that there is no right way to go on.
        DataError: a file of the series is damaged.
    """
    for path, why in series.damaged:
        raise DataError(f"{path}: {why}; copy the file again, or take it out of the folder")
    findings: list[Finding] = []
    _check_one_patient(series)
    chosen = _without_localizers([p for h in series.headers for p in planes(h)], findings)
    _check_places(chosen)
    chosen = _largest(chosen, "mixed_shape", "sizes or pixel spacings", _shape, findings)
    chosen = _largest(chosen, "mixed_orientation", "directions", _direction, findings)
    check_values(chosen, findings)
    stack = grid(chosen, findings)
    scaled = any(plane.slope is not None for plane in chosen)
    header = chosen[0].header
    kind = np.dtype(f"{'i' if header.signed else 'u'}{header.bits_allocated // 8}")
    return Volume(
        shape=(header.columns, header.rows, len(stack.places)),
        affine=stack.affine,
        meta=_meta(series, chosen[0]),
        read=Stack(stack.planes, stack.places),
        value_range=None if scaled else type_range(kind),
        files=tuple(Path(name) for name in dict.fromkeys(p.header.path for p in stack.planes)),
        findings=tuple(findings),
        slices=tuple(_place(plane) for plane in stack.planes),
    )


def _meta(series: Series, plane: Plane) -> dict[str, str]:
    meta = describe(series)
    if not meta["slice_thickness"] and plane.thickness is not None:
        meta["slice_thickness"] = f"{plane.thickness:g}"
    return meta


def _place(plane: Plane) -> SlicePlace:
    x, y, z = plane.position or (math.nan,) * 3
    return SlicePlace(plane.number, plane.header.sop_uid, (-x, -y, z))


def _check_one_patient(series: Series) -> None:
    for what in ("patient_id", "study_uid"):
        values = {getattr(header, what): header.path for header in series.headers}
        if len(values) > 1:
            one, other = list(values.values())[:2]
            raise CheckFailed(
                "mixed_patients",
                f"expected slices of one {what.split('_')[0]}, got {len(values)}, for example "
                f"{Path(one).name} and {Path(other).name}",
            )


def _without_localizers(found: list[Plane], findings: list[Finding]) -> list[Plane]:
    kept = [plane for plane in found if not plane.localizer]
    if not kept:
        raise CheckFailed("localizer", "expected slices, got scout images (localizers) only")
    if len(kept) < len(found):
        findings.append(
            Finding("localizer", f"{len(found) - len(kept)} scout images lie among the slices")
        )
    return kept


def _check_places(found: list[Plane]) -> None:
    """Every plane must say where it lies.

    Raises:
        CheckFailed: one does not.
    """
    for plane in found:
        missing = [
            tag
            for tag, value in (
                ("ImagePositionPatient", plane.position),
                ("ImageOrientationPatient", plane.orientation),
                ("PixelSpacing", plane.spacing),
            )
            if value is None
        ]
        if missing:
            raise CheckFailed(
                "missing_position",
                f"{plane.name}: expected the DICOM tags {', '.join(missing)}, got none or no "
                "numbers",
            )
        _check_sound(plane)
    frames = {plane.header.frame_of_reference for plane in found}
    if len(frames) > 1:
        raise CheckFailed(
            "missing_position", f"expected one frame of reference of all slices, got {len(frames)}"
        )


def _check_sound(plane: Plane) -> None:
    position, spacing = plane.position or (), plane.spacing or ()
    if max(map(abs, position)) > _FARTHEST_MM:
        problem = f"ImagePositionPatient within {_FARTHEST_MM:g} mm, got {list(position)}"
    elif not all(1e-3 < mm < 1e3 for mm in spacing):
        problem = f"PixelSpacing in mm above 0, got {list(spacing)}"
    elif not geometry.is_orthonormal(plane.orientation or ()):
        problem = (
            "ImageOrientationPatient of two perpendicular unit vectors, got "
            f"{list(plane.orientation or ())}"
        )
    else:
        return
    raise CheckFailed("missing_position", f"{plane.name}: expected {problem}")


def _shape(plane: Plane) -> tuple[float, ...]:
    return plane.header.columns, plane.header.rows, *(plane.spacing or ())


def _direction(plane: Plane) -> tuple[float, ...]:
    return plane.orientation or ()


def _largest(
    found: list[Plane],
    check: str,
    what: str,
    key: Callable[[Plane], tuple[float, ...]],
    findings: list[Finding],
) -> list[Plane]:
    """The largest group of planes that share ``key``, to ``_SAME``."""
    values = np.array([key(plane) for plane in found])
    left, groups = np.arange(len(found)), []
    while len(left):
        alike = np.abs(values[left] - values[left[0]]).max(axis=1) <= _SAME
        groups.append(left[alike])
        left = left[~alike]
    largest = max(groups, key=len)
    if len(groups) > 1:
        sizes = sorted((len(group) for group in groups), reverse=True)
        odd = next(group for group in reversed(groups) if group is not largest)
        findings.append(
            Finding(
                check,
                f"slices of {len(groups)} {what} in one series ({_and(sizes)} slices), "
                f"for example {found[odd[0]].short}",
            )
        )
    return [found[number] for number in largest]


def _and(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:4]))
    return shown + (" ..." if len(numbers) > 4 else "")
