"""A folder holding one CT series as DICOM slices; LPS is turned into RAS+ here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from capsmed.data.volume import Box, Volume
from capsmed.errors import DataError

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])
_TOLERANCE_MM = 0.05
_NEEDED = (
    "SeriesInstanceUID",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "Rows",
    "Columns",
    "RescaleSlope",
    "RescaleIntercept",
)
_OTHERS = ("PatientID", "StudyInstanceUID", "NumberOfFrames", "SliceThickness")


def open_volume(folder: Path) -> Volume:
    """Open the series: slices ordered along their normal, each with its own rescale applied.

    A tilted gantry is kept as the shear it is: the third axis is the step from slice to slice.

    Raises:
        DataError: no or several series, duplicate positions, unequal spacing, slices that differ
            in size or direction, or tags missing that place or scale the voxels.
    """
    folder = Path(folder)
    headers = _headers(folder)
    _check_one_series(folder, headers)
    first = headers[0][1]
    rows_cols = np.array(first.ImageOrientationPatient, dtype=float).reshape(2, 3)
    normal = np.cross(rows_cols[0], rows_cols[1])
    headers.sort(key=lambda item: float(normal @ np.array(item[1].ImagePositionPatient, float)))
    affine = _affine(folder, headers, rows_cols, normal)
    shape = (int(first.Columns), int(first.Rows), len(headers))
    files = [path for path, _ in headers]
    meta = {
        "format": "dicom",
        "patient_id": str(first.get("PatientID", "")),
        "study_uid": str(first.get("StudyInstanceUID", "")),
        "series_uid": str(first.SeriesInstanceUID),
    }

    def read(box: Box | None) -> np.ndarray:
        x, y, z = box if box is not None else (slice(None),) * 3
        return np.stack([_pixels(path)[x, y] for path in files[z]], axis=-1)

    return Volume(shape, affine, meta, read)


def _headers(folder: Path) -> list[tuple[Path, Any]]:
    import pydicom
    from pydicom.errors import InvalidDicomError

    found = []
    for path in sorted(p for p in folder.iterdir() if p.is_file()):
        try:
            header = pydicom.dcmread(
                path, stop_before_pixels=True, specific_tags=[*_NEEDED, *_OTHERS]
            )
        except InvalidDicomError:
            continue  # a licence text or a DICOMDIR beside the slices
        except (OSError, EOFError, ValueError) as error:
            raise DataError(f"{path}: cannot be read as DICOM (damaged?)") from error
        if "SeriesInstanceUID" in header:
            found.append((path, header))
    if not found:
        raise DataError(f"{folder}: expected a folder of DICOM slices, found none in it")
    return found


def _check_one_series(folder: Path, headers: list[tuple[Path, Any]]) -> None:
    series = {str(header.SeriesInstanceUID) for _, header in headers}
    if len(series) > 1:
        raise DataError(
            f"{folder}: expected one DICOM series, got {len(series)}; give each its own folder"
        )
    for path, header in headers:
        missing = [name for name in _NEEDED if header.get(name) is None]
        if missing:
            raise DataError(f"{path}: expected the DICOM tags {', '.join(missing)}, got none")
        if int(header.get("NumberOfFrames") or 1) > 1:
            raise DataError(f"{path}: expected one slice a file, got a multi-frame image")
    for name in ("Rows", "Columns", "PixelSpacing", "ImageOrientationPatient"):
        values = np.array([np.atleast_1d(header[name].value) for _, header in headers], float)
        if np.abs(values - values[0]).max() > 1e-4:
            raise DataError(f"{folder}: expected one {name} throughout the series, got several")


def _affine(
    folder: Path, headers: list[tuple[Path, Any]], rows_cols: np.ndarray, normal: np.ndarray
) -> np.ndarray:
    first = headers[0][1]
    places = np.array([header.ImagePositionPatient for _, header in headers], dtype=float)
    step = normal * float(first.get("SliceThickness") or 1)
    if len(places) > 1:
        step = (places[-1] - places[0]) / (len(places) - 1)
        _check_steps(folder, places, step, normal)
    row_mm, column_mm = (float(mm) for mm in first.PixelSpacing)  # between rows, then columns
    affine = np.eye(4)
    affine[:3, :3] = _LPS_TO_RAS @ np.stack(
        [rows_cols[0] * column_mm, rows_cols[1] * row_mm, step], axis=1
    )
    affine[:3, 3] = _LPS_TO_RAS @ places[0]
    return affine


def _check_steps(folder: Path, places: np.ndarray, step: np.ndarray, normal: np.ndarray) -> None:
    gaps = np.diff(places @ normal)
    if gaps.min() < 1e-3:
        raise DataError(f"{folder}: two slices lie at one position; remove the duplicate")
    if np.abs(np.diff(places, axis=0) - step).max() > max(_TOLERANCE_MM, 0.01 * gaps.min()):
        raise DataError(
            f"{folder}: expected equally spaced slices, got gaps of {gaps.min():.2f} to "
            f"{gaps.max():.2f} mm; a slice may be missing"
        )


def _pixels(path: Path) -> np.ndarray:
    """One slice in the units of its rescale (HU for CT), axes x (columns), y (rows)."""
    import pydicom

    slice_ = pydicom.dcmread(path)
    values = slice_.pixel_array.T.astype(np.float32)
    return values * np.float32(slice_.RescaleSlope) + np.float32(slice_.RescaleIntercept)
