"""A tree of DICOM series joined with a table of points."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from capsmed.data.importers.contract import Imported, Options, Progress
from capsmed.data.importers.joining import Row, is_ct, join
from capsmed.data.importers.writing import class_settings, relative, write_folder
from capsmed.data.table import Table, read_table
from capsmed.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from capsmed.data.dicom import Series

FACTS = ("study_uid", "study_date", "manufacturer", "kernel", "kvp", "slice_thickness")
MILLIMETRES = ("x", "y", "z")
PIXELS = ("column", "row")
SLICE = ("instance_number", "sop_uid")
DAMAGED = "DICOM file that cannot be read"
NO_POINT = "row without a whole point"
NEEDED = (
    "label; series_uid or patient_id; and x, y, z in mm (with --frame), or column, row and "
    "instance_number or sop_uid (with --first-pixel)"
)


def read(source: Path, out: Path, options: Options, progress: Progress | None) -> Imported:
    """Import the tree ``source`` by the table ``options.points``; points are handed on as given.

    What the headers say of a scan goes into the table (over columns of the same name), and so does
    every other column of the points. See `joining.join` for which series a row gets.

    Raises:
        DataError: no series, no table of points, columns missing, a frame or first pixel not
            named, no row that can be used, or ``out`` is in use.
    """
    from capsmed.data.dicom import damaged_below, describe, index

    if not source.is_dir():
        raise DataError(f"{source}: expected a folder of DICOM series, got a file")
    points = None
    if options.points is not None:
        points = read_table(options.points, options.encoding or "utf-8")
        settings = _settings(points, options)
    series = index(source, progress)
    if points is None:
        raise DataError(_without_points(source, series))
    if not series:
        raise DataError(f"{source}: expected DICOM series, found none; name the folder above them")
    left_out: Counter[str] = Counter()
    placed = [row for row in points.rows if _has_point(row)]
    left_out[NO_POINT] = len(points.rows) - len(placed)
    left_out[DAMAGED] = len(damaged_below(source))
    joined = join(placed, series, left_out)
    if not joined:
        why = "\n".join(f"  {count} x {reason}" for reason, count in (+left_out).items())
        raise DataError(f"{points.path}: no row fits a series of {source}\n{why}")
    facts = {one.uid: describe(one) for one in {one.uid: one for _, one in joined}.values()}
    rows = [
        _row(number, row, one, facts[one.uid], out)
        for number, (row, one) in enumerate(joined, start=1)
    ]
    return Imported(
        table=write_folder(out, rows),
        rows=len(rows),
        left_out=+left_out,
        settings=settings | class_settings(str(row["label"]) for row in rows),
    )


def _row(
    number: int, row: Row, series: Series, facts: Mapping[str, str], out: Path
) -> dict[str, object]:
    """One case; a ``case_id`` of the points is kept, else the case gets a number."""
    return {
        **row,
        "case_id": row.get("case_id") or f"case-{number:05d}",
        "patient_id": row.get("patient_id") or series.patient_id,
        "image": relative(series.folder, out),
        "series_uid": series.uid,
        **{name: facts.get(name, "") for name in FACTS},
    }


def _settings(points: Table, options: Options) -> dict[str, str]:
    """What the table's points need to be read, handed on from the options.

    Raises:
        DataError: columns are missing, or an option that the points need (or do not need).
    """
    has = {name for row in points.rows for name, cell in row.items() if cell}
    _check_columns(points, has)
    settings = {}
    for option, value, wanted, choices in (
        ("frame", options.frame, MILLIMETRES, "RAS or LPS"),
        ("first_pixel", options.first_pixel, PIXELS, "0 or 1"),
    ):
        flag, names = "--" + option.replace("_", "-"), ", ".join(wanted)
        if (value is not None) and not has.issuperset(wanted):
            raise DataError(f"{flag}: {points.path} has no {names}; leave it out")
        if value is None and has.issuperset(wanted):
            raise DataError(f"{flag}: {points.path} has {names}, so expected {choices}; name it")
        if value is not None:
            settings[f"data.{option}"] = str(value)
    return settings


def _check_columns(points: Table, has: set[str]) -> None:
    """Refuse a table without labels, without keys, or without any kind of whole point."""
    missing = [] if "label" in has else ["label"]
    missing += [] if has & {"series_uid", "patient_id"} else ["series_uid or patient_id"]
    missing += [] if _names_point(has) else ["a point"]
    if missing:
        near = did_you_mean(missing[0].split()[0], points.columns)
        raise DataError(
            f"{points.path}: expected filled columns {NEEDED}; got {', '.join(points.columns)}; "
            f"missing: {', '.join(missing)}{near}"
        )


def _has_point(row: Row) -> bool:
    return _names_point({name for name, cell in row.items() if cell})


def _names_point(has: set[str]) -> bool:
    """Whether these columns are enough for a point."""
    in_pixels = has.issuperset(PIXELS) and has & set(SLICE)
    return has.issuperset(MILLIMETRES) or bool(in_pixels)


def _without_points(source: Path, series: Sequence[Series]) -> str:
    ct = sum(is_ct(one) for one in series)
    patients = len({one.patient_id for one in series})
    found = f"{len(series)} DICOM series of {patients} patients, {ct} of them CT scans"
    return (
        f"--points: expected a CSV, got none; {source} has {found}, and a table of them alone "
        f"cannot be trained on. Write one row a lesion with the columns {NEEDED}"
    )
