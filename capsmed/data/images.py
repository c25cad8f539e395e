"""What the cell ``image`` of a table names: a file, a folder, or a DICOM series by its UID."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from capsmed import config
from capsmed.data import readers
from capsmed.data.problems import Problem
from capsmed.data.volume import Volume
from capsmed.errors import DataError

_UID = re.compile(r"[0-9]+(\.[0-9]+){3,}")


def located(name: str, root: Path | None) -> Path:
    """The file a table names; backslashes of Windows are read as slashes elsewhere."""
    path = (root or Path()) / name
    return path if path.exists() else (root or Path()) / name.replace("\\", "/")


def resolve(
    table: pd.DataFrame, left_out: Mapping[int, str], root: Path
) -> tuple[pd.DataFrame, list[Problem]]:
    """The table with each series that is named by its UID alone put as folder and UID.

    Such a row has the SeriesInstanceUID as its ``image``, or an empty ``image`` beside the column
    ``series_uid``. The tree below ``root`` is searched once for all of them.

    Returns:
        The table, and the rows whose image is not there.
    """
    names = list(table["image"])
    series = list(table["series_uid"]) if "series_uid" in table else [""] * len(names)
    absent = [i for i, n in enumerate(names) if not n or not located(n, root).exists()]
    absent = [i for i in absent if i not in left_out]
    named = any(_UID.fullmatch(names[i] or series[i]) for i in absent)
    folders = _folders(root) if named else {}
    faults = []
    for i in absent:
        fault = _fault(i, names[i], series[i], folders, root)
        if fault is not None:
            faults.append(fault)
        else:
            series[i] = names[i] or series[i]
            names[i] = folders[series[i]]
    return (table.assign(image=names, series_uid=series) if folders else table), faults


def open_image(row: Mapping[str, Any], root: Path | None, checks: config.Checks) -> Volume:
    """Open the image of a row of a resolved table; no voxel is read yet.

    Raises:
        CheckFailed: a check fails whose policy is not 'warn'.
        DataError: the image is missing or cannot be opened.
    """
    path = located(str(row["image"]), root)
    series = str(row.get("series_uid", "") or "")
    volume = readers.open_volume(path, checks, series=series if path.is_dir() else "")
    found = volume.meta.get("series_uid", "")
    if series and found and found != series:
        raise DataError(f"{path}: expected the series {series} of the table, got {found}")
    return volume


def _fault(
    position: int, name: str, series: str, folders: Mapping[str, str], root: Path
) -> Problem | None:
    """Why the image of a row that names no file is not there; None for a series below the root."""
    uid = name or series
    if not uid:
        return Problem(position, "image is empty", "image is empty")
    if not _UID.fullmatch(uid):
        detail = f"image '{uid}' was not found in {root}"
        return Problem(position, detail, "image file not found")
    if uid not in folders:
        detail = f"image: found no DICOM series {uid} below {root}"
        return Problem(position, detail, "DICOM series not found")
    if series not in ("", uid):
        detail = f"expected one series, got image {uid} and series_uid {series}"
        return Problem(position, detail, "two series named")
    return None


def _folders(root: Path) -> dict[str, str]:
    """The folder of each series below ``root``, relative to it."""
    from capsmed.data.dicom import index

    top = os.path.abspath(root)
    return {series.uid: os.path.relpath(series.folder, top) for series in index(root)}
