"""The files of LUNA16: scans in subset0 to subset9, and CSV lists of points in LPS mm."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from capsmed.errors import DataError

AXES = ("coordX", "coordY", "coordZ")
_CSV_FOLDER = "CSVFILES"


@dataclass(frozen=True)
class Scan:
    """One .mhd file; its name is the SeriesInstanceUID, its folder the published fold."""

    path: Path
    series_uid: str
    subset: int


def scans(source: Path, left_out: Counter[str]) -> list[Scan]:
    """Every scan below the folders subset0 to subset9, by subset and name.

    The lung masks of the challenge carry the same names in a folder of their own; what lies in no
    subset is counted and left out.
    """
    found: dict[str, Scan] = {}
    for place, _, names in os.walk(source):
        parts = [re.fullmatch(r"subset(\d)", part) for part in Path(place).parts[::-1]]
        subset = next((int(part[1]) for part in parts if part), None)
        for name in sorted(name for name in names if name.endswith(".mhd")):
            series_uid = name.removesuffix(".mhd")
            if subset is None:
                left_out[".mhd file outside the folders subset0 to subset9"] += 1
            elif series_uid in found:
                left_out["second file of the same scan"] += 1
            else:
                found[series_uid] = Scan(Path(place) / name, series_uid, subset)
    return sorted(found.values(), key=lambda scan: (scan.subset, scan.series_uid))


def lists_folder(source: Path, given: Path | None) -> Path:
    """The folder that holds annotations.csv.

    Raises:
        DataError: it is in none of the places looked at.
    """
    places = [given] if given is not None else [source, source / _CSV_FOLDER]
    for place in places:
        if (place / "annotations.csv").is_file():
            return place
    raise DataError(
        f"{source}: expected annotations.csv in {' or '.join(map(str, places))}, found none; name "
        "the folder of LUNA16's CSV files with --annotations"
    )


def read_list(
    folder: Path, names: Sequence[str], value: str, encoding: str = "utf-8"
) -> pd.DataFrame:
    """The first of the files that is there: ``seriesuid``, ``AXES``, and the column ``value``.

    Raises:
        DataError: none is there, it lacks columns, or a cell is not a number.
    """
    path = next((folder / name for name in names if (folder / name).is_file()), None)
    if path is None:
        raise DataError(f"{folder}: expected {' or '.join(names)}, found none")
    wanted = ["seriesuid", *AXES, value]
    try:
        table = pd.read_csv(path, dtype={"seriesuid": str}, encoding=encoding, usecols=wanted)
        numbers = table[[*AXES, value]].to_numpy(float)
    except (ValueError, LookupError, OSError) as error:
        raise DataError(
            f"{path}: expected the columns {', '.join(wanted)} and numbers ({error})"
        ) from error
    if table["seriesuid"].isna().any() or not np.isfinite(numbers).all():
        raise DataError(f"{path}: expected a number in every cell, got empty ones")
    if value == "class" and not np.isin(table[value], (0, 1)).all():
        raise DataError(f"{path}: expected the classes 0 and 1, got others")
    return table
