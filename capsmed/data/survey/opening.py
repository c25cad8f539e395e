"""Reading a table so that as many of its rows as possible can be looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from capsmed import config
from capsmed.data import assemble, labels, points, whole_sets
from capsmed.data.cohort import Cohort
from capsmed.data.problems import Problem
from capsmed.data.survey.case import Note
from capsmed.data.table import Table, read_table
from capsmed.errors import DataError


@dataclass(frozen=True)
class Opened:
    """A table whose bad rows are known and whose images may be odd.

    Attributes:
        cohort: every row with its lesion; its checks let each finding pass that may.
        checks: the policies asked for, by which the findings are judged.
        frame: the frame the points were read in.
        frame_named: whether somebody named it; the other one is as likely otherwise.
        bad: notes of the rows that cannot be read, by position.
        notes: of the table as a whole.
    """

    cohort: Cohort
    checks: config.Checks
    frame: str = "RAS"
    frame_named: bool = True
    bad: Mapping[int, tuple[Note, ...]] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()

    def mirrored(self) -> Opened:
        """The same table with its points in mm read in the other frame."""
        table = self.cohort.table.copy()
        doubted = table["point_from"] == points.MM
        table.loc[doubted, ["x", "y"]] *= -1.0
        other = "LPS" if self.frame == "RAS" else "RAS"
        return replace(self, cohort=replace(self.cohort, table=table), frame=other)


def open_table(data: config.Data, base: Path, data_root: Path | None = None) -> Opened:
    """Read the cohort that ``data`` names, for looking at it.

    What `Cohort.read` refuses in a table is noted here, and the rows are read all the same.
    Where no frame is named, points are read as RAS; both frames are looked at anyhow.

    Args:
        data: the config's section.
        base: folder that a relative ``data.cohort`` is relative to.
        data_root: folder that image paths are relative to; default: the table's own.

    Raises:
        DataError: there is no such table, or it has not the columns of one.
    """
    path = base / data.cohort
    if data.cohort == "demo" or not path.is_file() or whole_sets.kind(path) is not None:
        whole = data.model_copy(update={"limit": None})
        return Opened(Cohort.read(whole, base, data_root), data.checks)
    read = read_table(path, data.encoding)
    assemble.check_columns(read)
    return _opened(read, data, data_root or path.parent)


def _opened(read: Table, data: config.Data, root: Path) -> Opened:
    named = [row["label"] for row in read.rows]
    every = tuple(sorted({label for label in named if label}, key=labels.by_value))
    update: dict[str, Any] = {"checks": lenient(data.checks), "frame": data.frame or "RAS"}
    notes = _patients(read)
    if data.first_pixel is None:
        update["first_pixel"] = 1
        if any(row.get("column") for row in read.rows):
            notes.append(Note("mend", "the number of the first pixel must be named: --first-pixel"))
    known = any(row["patient_id"] for row in read.rows)
    read_as = data.model_copy(update=update)
    found = assemble.gather(read, every, read_as, root, known)
    classes, left_out, faults, more = _classes(named, data, read.path.name)
    table = found.rows.assign(excluded=[left_out.get(i, "") for i in range(len(found.rows))])
    cohort = Cohort(
        table,
        classes or every,
        positive="",
        patients_known=known,
        source="arrays" if found.stack else "table",
        note="",
        digest="",
        file=read.path.name,
        root=root,
        checks=read_as.checks,
        images=found.stack.get("images"),
        value_range=found.stack.get("value_range"),
    )
    unused = points.unused_frame(list(found.rows["point_from"]), data.frame, read.columns)
    if unused:
        notes.append(Note("mend", unused))
    bad = _bad([*found.faults, *faults])
    return Opened(
        cohort, data.checks, read_as.frame or "RAS", data.frame is not None, bad, (*notes, *more)
    )


def lenient(checks: config.Checks) -> config.Checks:
    """The same checks, each one a warning that may be one."""
    fields = type(checks).model_fields.items()
    return checks.model_copy(
        update={name: "warn" for name, info in fields if info.annotation == config.Policy}
    )


def _patients(read: Table) -> list[Note]:
    patients = {row["patient_id"] for row in read.rows}
    if len(read.rows) == 1 or len(patients) > 1:
        return []
    what = "empty" if patients == {""} else "the same"
    return [Note("look" if what == "empty" else "mend", f"all patient ids are {what}")]


def _classes(
    named: list[str], data: config.Data, file: str
) -> tuple[tuple[str, ...], Mapping[int, str], list[Problem], list[Note]]:
    """The classes of a training, the rows it would leave out, and what it would refuse."""
    try:
        classes = labels.class_order(named, data.classes, file)
    except DataError as error:
        return (), {}, [], [Note("mend", str(error).removeprefix(f"{file}: "))]
    left_out, faults = labels.judge(named, classes)
    return classes, left_out, faults, []


def _bad(faults: list[Problem]) -> dict[int, tuple[Note, ...]]:
    notes: dict[int, tuple[Note, ...]] = {}
    for fault in faults:
        note = Note("mend", fault.reason, fault.detail if fault.detail != fault.reason else "")
        if note not in notes.get(fault.position, ()):
            notes[fault.position] = (*notes.get(fault.position, ()), note)
    return notes
