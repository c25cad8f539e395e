"""Who is held out: patients that are in no fold, kept for one last test."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from capsmed import config
from capsmed.data import stratify
from capsmed.data.cohort import Cohort
from capsmed.data.splits import check_whole, given_column, groups_of
from capsmed.errors import DataError, did_you_mean

#: What the case table of a run says of them.
REASON = "held out: in no fold"
_YES, _NO = {"yes", "true", "1", "x"}, {"no", "false", "0", ""}
_SHOWN = 8  # cells that an error lists


class Divided(NamedTuple):
    """A cohort for the folds, in which those held out are left out, and the held-out one."""

    folds: Cohort
    held_out: Cohort | None


def divide(cohort: Cohort, split: config.Split) -> Divided:
    """Hold cases out as ``split.held_out`` asks; nothing of them is left to the folds.

    A share is drawn by patient (``split.by: case`` waives that), the classes alike, and depends on
    nothing but the table and ``split.seed``: not on folds, repeats or the network's seeds.

    Raises:
        DataError: the source has parts of its own, the column is not there or cannot be
            understood, a patient stands on both sides, or one of them lacks a class.
    """
    asked, rows = split.held_out, cohort.included
    if not asked.asked:
        return Divided(cohort, None)
    column = given_column(cohort, rows, split)
    if column is not None and split.leave_out is None:
        raise DataError(
            f"split.held_out: expected a cohort whose folds are drawn, or split.leave_out, got "
            f"{cohort.file} with parts of its own (column '{column}'); leave split.held_out out, "
            "or rename the column"
        )
    held = _drawn(rows, split) if asked.column is None else _marked(cohort, rows, asked)
    sides = pd.Series(np.where(held, "held out", "in the folds"), index=rows.index)
    check_whole(cohort, rows, sides, "split.held_out", split)
    _check_classes(cohort, rows, sides)
    cases = list(rows["case_id"][held])
    return Divided(cohort.exclude(dict.fromkeys(cases, REASON)), cohort.keep(cases))


def remark(held_out: Cohort) -> str:
    """How many are held out, of which class, as a line for the terminal."""
    rows = held_out.included
    people = rows["patient_id"].nunique() if held_out.patients_known else None
    of = "" if people is None else f" of {people:,} patients"
    counts = ", ".join(f"{(rows['label'] == name).sum():,} {name}" for name in held_out.classes)
    return f"held out of all folds: {len(rows):,} cases{of} ({counts})"


def _drawn(rows: pd.DataFrame, split: config.Split) -> np.ndarray:
    # four numbers that no fold, inner part or smaller training part is drawn from
    rng = np.random.default_rng([split.seed, 0, 0, 3])
    share = split.held_out.share or 0.0
    return stratify.draw(groups_of(rows, split), rows["target"].to_numpy(), share, rng)


def _marked(cohort: Cohort, rows: pd.DataFrame, asked: config.HeldOut) -> np.ndarray:
    name = str(asked.column)
    if name == "patient_id":
        raise DataError(
            "split.held_out.column: expected a column that names nobody, got 'patient_id', whose "
            "value would stand in config.yaml; mark the patients by yes in a column of its own"
        )
    if name not in rows:
        raise DataError(
            f"split.held_out.column: expected a column of {cohort.file}, got {name!r}"
            f"{did_you_mean(name, map(str, rows.columns))}"
        )
    cells = rows[name].astype(str).str.strip()
    if asked.value is not None:
        if not (cells == asked.value).any():
            raise DataError(
                f"split.held_out.value: expected one of the values of the column '{name}' of "
                f"{cohort.file}, got {asked.value!r}{did_you_mean(asked.value, set(cells))}; they "
                f"are {_listed(cells)}"
            )
        return (cells == asked.value).to_numpy()
    words = cells.str.lower()
    unclear = cells[~words.isin(_YES | _NO)]
    if len(unclear):
        raise DataError(
            f"split.held_out.column: expected yes, true, 1 or x, or no, false, 0 or nothing in the "
            f"column '{name}' of {cohort.file}, got {_listed(unclear)}; to hold out the cases of "
            "one value, give it as split.held_out.value"
        )
    return words.isin(_YES).to_numpy()


def _listed(cells: pd.Series) -> str:
    values = sorted(set(cells))
    more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
    return ", ".join(map(repr, values[:_SHOWN])) + more


def _check_classes(cohort: Cohort, rows: pd.DataFrame, sides: pd.Series) -> None:
    for side in ("held out", "in the folds"):
        for name in cohort.classes:
            of_class = rows["label"] == name
            if not (of_class & (sides == side)).any():
                whose = rows["patient_id"] if cohort.patients_known else rows["case_id"]
                count = whose[of_class].nunique()
                unit = ("patient" if cohort.patients_known else "case") + "s" * (count != 1)
                raise DataError(
                    f"split.held_out: expected cases of every class held out and in the folds, got "
                    f"none of class '{name}' {side}, of {count} {unit} of it; "
                    "hold others out, or add patients of that class"
                )
