"""Writing a cohort table, and what belongs to it, into a new folder in one step."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from capsmed.data import folders

TABLE = "cohort.csv"
FIRST = ("case_id", "patient_id", "image", "label")


def write_folder(
    out: Path,
    rows: Sequence[Mapping[str, object]],
    fill: Callable[[Path], object] | None = None,
) -> Path:
    """Make the new folder ``out`` with ``cohort.csv`` and what ``fill`` puts beside it.

    ``out`` is there with everything in it, or not at all. ``fill`` gets the temporary folder that
    becomes ``out``; do in it what writes, and read before.

    Args:
        out: a folder that is not there yet, or empty.
        rows: one mapping a case; see `write_table`.
        fill: writes further files, such as masks.

    Raises:
        DataError: ``out`` is in use or cannot be written.
    """
    out = folders.vacant(Path(out))

    def make(folder: Path) -> None:
        if fill is not None:
            fill(folder)
        write_table(folder / TABLE, rows)

    folders.whole(out, make, shared=False)
    return out / TABLE


def write_table(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write ``rows`` as UTF-8 CSV with Unix line ends, the required columns first.

    The columns are those of all rows, in the order met; None and missing cells become empty.
    """
    columns = dict.fromkeys(FIRST) | dict.fromkeys(name for row in rows for name in row)
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(columns), restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def relative(path: Path, out: Path) -> str:
    """``path`` as a table in the folder ``out`` names it, with forward slashes.

    Folders that are links are followed, since ``..`` starts from where they lead; the file itself
    keeps its name. On another drive of Windows there is no relative path; the absolute one is
    given.
    """
    path, out = (place.parent.resolve() / place.name for place in (_named(path), _named(out)))
    try:
        return Path(os.path.relpath(path, out)).as_posix()
    except ValueError:
        return path.as_posix()


def _named(path: Path) -> Path:
    """The path without a last part '.' or '..'."""
    return Path(os.path.abspath(path))


def class_settings(labels: Iterable[str]) -> dict[str, str]:
    """What ``--set`` must say where a shipped configuration knows other classes than these.

    >>> class_settings(["benign", "malignant", "benign"]), class_settings(["cat", "dog"])
    ({}, {'data.classes': 'null', 'data.positive': 'null'})
    """
    if {"benign", "malignant"} <= set(labels):
        return {}
    return {"data.classes": "null", "data.positive": "null"}
