"""Every row of a table, with its lesion's place and size, and with all that is wrong with it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from capsmed import config
from capsmed.data import images, labels, lesions, points, stacks
from capsmed.data.problems import Problem
from capsmed.data.table import Table
from capsmed.data.volume import type_range
from capsmed.errors import DataError

REQUIRED = ("case_id", "patient_id", "image", "label")
KNOWN = (
    *("case_id", "patient_id", "image", "label", "series_uid", "x", "y", "z", "column", "row"),
    *("instance_number", "sop_uid", "markup", "markup_label", "mask", "mask_segment"),
    *("diameter_mm", "eq_diameter_mm", "fold", "split", "index"),
)


@dataclass(frozen=True)
class Gathered:
    """Every row of a table with what is wrong with it; nothing is judged yet.

    Attributes:
        rows: points and diameters included, case ids made unique.
        left_out: reasons of rows that do not take part, by position.
        faults: of the other rows.
        places: 'row 4 (case c3)' by position.
        stack: fields of a Cohort whose rows are places in one array; empty otherwise.
    """

    rows: pd.DataFrame
    left_out: Mapping[int, str]
    faults: Sequence[Problem]
    places: Mapping[int, str]
    stack: Mapping[str, Any]


def check_columns(read: Table) -> None:
    """Refuse a table without the columns that every table needs, or with 'X' for 'x'.

    Raises:
        DataError: naming those that are missing, or in capital letters.
    """
    lower = {name.casefold(): name for name in read.columns}
    meant = [
        f"'{lower[name]}' for '{name}'"
        for name in KNOWN
        if name not in read.columns and name in lower
    ]
    if meant:
        raise DataError(
            f"{read.path}: expected column names in small letters, got {', '.join(meant)}; "
            "rename them, or they would be passed over"
        )
    missing = [name for name in REQUIRED if name not in read.columns]
    if missing:
        near = difflib.get_close_matches(missing[0], lower, n=1, cutoff=0.6)
        hint = f"; is '{lower[near[0]]}' meant to be '{missing[0]}'?" if near else ""
        raise DataError(
            f"{read.path}: expected the columns {', '.join(REQUIRED)}, got "
            f"{', '.join(read.columns)}; missing: {', '.join(missing)}{hint}"
        )


def patients_known(read: Table) -> bool:
    """Whether the patient ids say anything; only the cases of one array may go without.

    Raises:
        DataError: all ids are empty, or all the same.
    """
    patients = {row["patient_id"] for row in read.rows}
    if patients == {""} and stacks.is_stack(pd.DataFrame(read.rows)):
        return False
    if len(read.rows) > 1 and len(patients) == 1:
        what = "empty" if patients == {""} else "the same"
        raise DataError(
            f"{read.path}: all {len(read.rows)} patient ids are {what}; splits are by patient, "
            "so each row needs its own patient's id"
        )
    return True


def gather(
    read: Table, classes: Sequence[str], data: config.Data, root: Path, patients_known: bool = True
) -> Gathered:
    """Place and measure the lesion of every row that takes part, and list every fault.

    Args:
        read: the table.
        classes: rows of other labels are left out, and their files not opened.
        data: the config's section.
        root: folder that paths are relative to.
        patients_known: whether an empty patient id is a fault.

    Raises:
        DataError: a column is missing, or the config does not say what the points mean.
    """
    rows = pd.DataFrame(read.rows, columns=list(read.columns), dtype=object)
    left_out, faults = labels.judge(list(rows["label"]), classes)
    rows, absent = images.resolve(rows, left_out, root)
    absent += _missing_files(rows, left_out, root)
    passed = {*left_out, *(fault.position for fault in absent)}
    faults += absent + _empty_cells(rows, patients_known)
    stack: dict[str, Any] = {}
    if stacks.is_stack(rows):
        found, stack = lesions.in_arrays(rows, data), _stack(rows, root)
        rows["position"], misplaced = stacks.positions(rows, left_out, len(stack["images"]))
        faults += misplaced
    else:
        found = lesions.find(rows, data, read.path.name, passed, root)
    left_out |= found.skips
    faults = [fault for fault in faults + found.faults if fault.position not in left_out]
    faults += _duplicates(rows)
    places = {i: f"row {n} (case {c})" for i, (n, c) in _numbered(read)}
    rows = rows.drop(columns=[axis for axis in points.AXES if axis in rows]).assign(**found.columns)
    rows["case_id"] = _unique(rows["case_id"], read.numbers)
    return Gathered(rows, left_out, faults, places, stack)


def _stack(rows: pd.DataFrame, root: Path) -> dict[str, Any]:
    found = stacks.open_stack(rows, root)
    return {"source": "arrays", "images": found, "value_range": type_range(found.dtype)}


def _empty_cells(rows: pd.DataFrame, patients_known: bool) -> list[Problem]:
    needed = ("case_id", "patient_id") if patients_known else ("case_id",)
    return [
        Problem(int(position), f"{name} is empty", f"{name} is empty")
        for name in needed
        for position in np.flatnonzero(rows[name] == "")
    ]


def _missing_files(rows: pd.DataFrame, left_out: dict[int, str], root: Path) -> list[Problem]:
    return [
        Problem(position, f"{name} '{cell}' was not found in {root}", f"{name} file not found")
        for name in ("mask", "markup")
        if name in rows
        for position, cell in enumerate(rows[name])
        if cell and position not in left_out and not images.located(cell, root).exists()
    ]


def _duplicates(rows: pd.DataFrame) -> list[Problem]:
    repeated = np.flatnonzero(rows["case_id"].duplicated() & (rows["case_id"] != ""))
    return [
        Problem(int(i), f"case_id '{rows['case_id'].iloc[i]}' was used before", "duplicate case_id")
        for i in repeated
    ]


def _numbered(read: Table) -> list[tuple[int, tuple[int, str]]]:
    cases = [row["case_id"] for row in read.rows]
    return list(enumerate(zip(read.numbers, cases, strict=True)))


def _unique(cases: pd.Series, numbers: tuple[int, ...]) -> list[str]:
    """Case ids as they are; a repeated or empty one (skipped by now) gets its row's number."""
    repeated = cases.duplicated() | (cases == "")
    return [
        f"{case} (row {number})".strip() if bad else case
        for case, number, bad in zip(cases, numbers, repeated, strict=True)
    ]
