"""DICOM: a folder of slices, one slice, or one multi-frame file; see ``capsmed.data.dicom``."""

from __future__ import annotations

from pathlib import Path

from capsmed.data import dicom
from capsmed.data.volume import Volume

SUFFIXES = (".dcm", ".dicom", ".ima")


def open_volume(path: Path, series: str = "") -> Volume:
    """Open one series; its slices are ordered along their normal, each with its own rescale.

    Args:
        path: a folder, with all folders below it, or one file.
        series: SeriesInstanceUID, where there are several.

    Raises:
        CheckFailed: a check fails so that there is no right way to go on.
        DataError: there is no such series, or a file of it is damaged.
    """
    return dicom.open_volume(path, series)


def is_dicom(path: Path) -> bool:
    """Whether a file begins as DICOM files do, whatever its name."""
    with open(path, "rb") as file:
        return dicom.looks_like_dicom(file.read(132))
