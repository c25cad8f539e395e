"""A path, and perhaps a SeriesInstanceUID, as the one series that is meant."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from capsmed.data.dicom.indexing import Series, damaged_below, find, index, series_of, unchanged
from capsmed.data.dicom.series import open_series
from capsmed.data.volume import Finding, Volume
from capsmed.errors import CheckFailed, DataError


def open_volume(path: Path, series: str = "") -> Volume:
    """Open a folder, with all below it, or a file of DICOM images.

    Args:
        path: folder or file.
        series: SeriesInstanceUID, where the folder holds several.

    Raises:
        CheckFailed: a check fails so that there is no right way to go on.
        DataError: there is no such series, or a file of it is damaged.
    """
    path = Path(path)
    try:
        if path.is_dir():
            return _of_folder(path, series)
        one = series_of(path)
        if series and one.uid != series:
            raise DataError(f"expected the series {series}, got {one.uid}")
        return open_series(one)
    except CheckFailed as error:
        raise CheckFailed(error.check, _placed(path, error)) from error
    except DataError as error:
        raise DataError(_placed(path, error)) from error


def _placed(path: Path, error: DataError) -> str:
    """The message, opening with a place: a file's name is one already."""
    text = str(error)
    return text if str(path) in text.split(": ")[0] else f"{path}: {text}"


def _of_folder(folder: Path, series: str) -> Volume:
    chosen, findings = _chosen(folder, series)
    if not unchanged(chosen):
        chosen, findings = _chosen(folder, series)
    volume = open_series(chosen)
    return replace(volume, findings=(*findings, *volume.findings))


def _chosen(folder: Path, series: str) -> tuple[Series, list[Finding]]:
    if series:
        return find(folder, series), []
    found = index(folder)
    if not found:
        for path, why in damaged_below(folder):
            raise DataError(f"{path}: {why}")
        raise DataError("expected a folder of DICOM slices, found none in it")
    findings = []
    scans = [one for one in found if not one.localizer] or found
    if len(scans) < len(found):
        count = len(found) - len(scans)
        findings.append(Finding("localizer", f"{count} series of scout images lie beside the scan"))
    if len(scans) > 1:
        findings.append(Finding("several_series", _several(scans)))
    return max(scans, key=lambda one: sum(header.frames for header in one.headers)), findings


def _several(scans: list[Series]) -> str:
    shown = "; ".join(
        f"{one.uid} ({sum(h.frames for h in one.headers)} slices, {one.description or 'unnamed'})"
        for one in scans[:3]
    )
    more = f"; and {len(scans) - 3} more" if len(scans) > 3 else ""
    return (
        f"expected one DICOM series, got {len(scans)}: {shown}{more}; name one in the column "
        "series_uid"
    )
