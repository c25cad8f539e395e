"""Who trains, who stops the training, who tests: folds by patient, or the source's own parts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from capsmed import config
from capsmed.data import stratify
from capsmed.data.cohort import Cohort
from capsmed.data.labels import by_value
from capsmed.errors import DataError

PARTS = {
    "train": "train",
    "training": "train",
    "val": "inner",
    "valid": "inner",
    "validation": "inner",
    "inner": "inner",
    "test": "test",
    "testing": "test",
}


def assign(cohort: Cohort, split: config.Split) -> pd.DataFrame:
    """Divide the included cases.

    Folds are stratified and by patient (``split.by: case`` waives that). A column 'split' with
    train, val and test gives one fold 0; a column 'fold' or ``split.leave_out`` gives one fold for
    each of its values, which is that fold's test part. The inner part is the source's own 'val'
    part, or a stratified ``split.inner`` of the training part's patients; with 0 there is none
    and 'val' cases train.

    Returns:
        columns ``repeat``, ``fold``, ``case_id``, ``part`` ('train', 'inner', 'test', or 'unused'
        for what ``split.train_cases`` leaves of a training part).

    Raises:
        DataError: a fold lacks a class in one of its parts, a patient stands in several parts of
            a given column, or there is nothing to split by.
    """
    rows = cohort.included
    column = given_column(cohort, rows, split)
    if split.tested == "val" and (column is None or not _is_split(rows, column, split)):
        raise DataError(
            "split.tested: expected a column 'split' with train, val and test for val, got none; "
            "leave split.tested out"
        )
    if column is None:
        folds = _drawn(cohort, rows, split)
    else:
        if split.repeats > 1:
            raise DataError(
                f"split.repeats: expected 1 with the given column '{column}', got {split.repeats}"
            )
        check_whole(cohort, rows, rows[column], f"column '{column}'", split)
        given = _given_split if _is_split(rows, column, split) else _given_folds
        folds = given(cohort, rows, column, split)
    tables = []
    for repeat, fold, parts in folds:
        parts = _with_inner(rows, parts, split, repeat, fold)
        parts = _fewer(cohort, rows, parts, split, repeat, fold)
        _check_parts(cohort, rows, parts, split, column, fold)
        tables.append(
            pd.DataFrame(
                {"repeat": repeat, "fold": fold, "case_id": rows["case_id"], "part": parts}
            )
        )
    return pd.concat(tables, ignore_index=True)


def groups_of(rows: pd.DataFrame, split: config.Split) -> np.ndarray:
    """What must stay whole, one name a row: the patient, or the case where that is unknown."""
    by_case = split.by == "case" or (rows["patient_id"] == "").all()
    return rows["case_id" if by_case else "patient_id"].to_numpy(str)


def given_column(cohort: Cohort, rows: pd.DataFrame, split: config.Split) -> str | None:
    """The column of ``rows`` that gives folds or parts; None where folds are drawn.

    Raises:
        DataError: it is not there, or nobody knows whose the cases are.
    """
    wanted = split.leave_out or split.column
    if wanted is not None:
        if wanted not in rows:
            raise DataError(f"split: {cohort.file} has no column '{wanted}'")
        return wanted
    if not cohort.patients_known and split.by == "case":
        return None
    found = next((name for name in ("split", "fold") if name in rows), None)
    if found is None and not cohort.patients_known:
        raise DataError(
            f"{cohort.file}: its patients are unknown and it has no split of its own; set "
            "split.by: case to draw folds by case"
        )
    return found


def _is_split(rows: pd.DataFrame, column: str, split: config.Split) -> bool:
    return split.leave_out is None and column == "split"


def _drawn(
    cohort: Cohort, rows: pd.DataFrame, split: config.Split
) -> Iterator[tuple[int, int, np.ndarray]]:
    groups, targets = groups_of(rows, split), rows["target"].to_numpy()
    unit = "patients" if cohort.patients_known and split.by == "patient" else "cases"
    for index, name in enumerate(cohort.classes):
        held = len(set(groups[targets == index]))
        if held < split.folds:
            fewer = f"set split.folds: {held} or fewer, or " if held >= 2 else ""
            left = " that are not held out" if split.held_out.asked else ""
            raise DataError(
                f"split.folds: expected at most {held}, the {unit} of class '{name}'{left}, got "
                f"{split.folds}; {fewer}add {unit} of that class"
            )
    for repeat in range(split.repeats):
        rng = np.random.default_rng([split.seed, repeat])
        fold_of = stratify.deal(groups, targets, split.folds, rng)
        for fold in range(split.folds):
            yield repeat, fold, np.where(fold_of == fold, "test", "train").astype(object)


def _given_split(
    cohort: Cohort, rows: pd.DataFrame, column: str, split: config.Split
) -> Iterator[tuple[int, int, np.ndarray]]:
    words = rows[column].str.lower()
    unknown = sorted(set(words) - set(PARTS))
    if unknown or "train" not in set(words.map(PARTS)) or "test" not in set(words.map(PARTS)):
        raise DataError(
            f"{cohort.file} column '{column}': expected train, val and test (val may be absent), "
            f"got {', '.join(repr(word) for word in sorted(set(words)))}"
        )
    parts = words.map(PARTS)
    if split.tested == "val":
        if "inner" not in set(parts):
            raise DataError(
                f"split.tested: expected a val part in {cohort.file} column '{column}', got none; "
                "leave split.tested out"
            )
        parts = parts.map({"train": "train", "inner": "test", "test": "unused"})
    yield 0, 0, parts.to_numpy(object)


def _given_folds(
    cohort: Cohort, rows: pd.DataFrame, column: str, split: config.Split
) -> Iterator[tuple[int, int, np.ndarray]]:
    values = sorted(set(rows[column]), key=by_value)
    if len(values) < 2 or "" in values:
        raise DataError(
            f"{cohort.file} column '{column}': expected a value in every row and at least two "
            f"values, got {', '.join(repr(value) for value in values)}"
        )
    for fold, value in enumerate(values):
        yield 0, fold, np.where(rows[column] == value, "test", "train").astype(object)


def _with_inner(
    rows: pd.DataFrame, parts: np.ndarray, split: config.Split, repeat: int, fold: int
) -> np.ndarray:
    parts = parts.copy()
    if split.inner == 0:
        parts[parts == "inner"] = "train"
    elif not (parts == "inner").any():
        train = np.flatnonzero(parts == "train")
        rng = np.random.default_rng([split.seed, repeat, fold, 1])
        targets = rows["target"].to_numpy()[train]
        drawn = stratify.draw(groups_of(rows, split)[train], targets, split.inner, rng)
        parts[train[drawn]] = "inner"
    return parts


def _fewer(
    cohort: Cohort,
    rows: pd.DataFrame,
    parts: np.ndarray,
    split: config.Split,
    repeat: int,
    fold: int,
) -> np.ndarray:
    """Leave ``split.train_cases`` of the training part, whole patients, the classes alike."""
    train = np.flatnonzero(parts == "train")
    if split.train_cases is None or split.train_cases == len(train):
        return parts
    if split.train_cases > len(train):
        raise DataError(
            f"split.train_cases: expected at most {len(train)}, the training part of fold {fold} "
            f"of {cohort.file}, got {split.train_cases}; take fewer"
        )
    rng = np.random.default_rng([split.seed, repeat, fold, 2])
    targets, share = rows["target"].to_numpy()[train], split.train_cases / len(train)
    parts = parts.copy()
    parts[train] = "unused"
    parts[train[stratify.draw(groups_of(rows, split)[train], targets, share, rng)]] = "train"
    return parts


def check_whole(
    cohort: Cohort, rows: pd.DataFrame, parts: pd.Series, what: str, split: config.Split
) -> None:
    """Refuse patients in several parts: they would be trained on and tested on.

    Args:
        cohort: where the rows are from.
        rows: the cases that take part.
        parts: the part of each row.
        what: gives the parts, for the message.
        split: the config's section.

    Raises:
        DataError: with the rows of these patients.
    """
    if not cohort.patients_known or split.by == "case":
        return
    several = parts.groupby(rows["patient_id"]).nunique() > 1
    leaking = rows["patient_id"].isin(several[several].index)
    if leaking.any():
        places = "\n".join(
            f"  {cohort.place(case)}: {value}"
            for case, value in zip(rows["case_id"][leaking], parts[leaking], strict=True)
        )
        count = int(several.sum())
        told = "1 patient stands" if count == 1 else f"{count} patients stand"
        raise DataError(
            f"{cohort.file} {what}: {told} in more than one part; give each patient one value"
            f"\n{places}"
        )


def _check_parts(
    cohort: Cohort,
    rows: pd.DataFrame,
    parts: np.ndarray,
    split: config.Split,
    column: str | None,
    fold: int,
) -> None:
    targets = rows["target"].to_numpy()
    wanted = ["train", "test"] + (["inner"] if split.inner > 0 else [])
    for part in wanted:
        for index, name in enumerate(cohort.classes):
            if not ((parts == part) & (targets == index)).any():
                raise DataError(
                    f"{cohort.file} fold {fold}: no case of class '{name}' in its {part} part; "
                    + _advice(part, column)
                )


def _advice(part: str, column: str | None) -> str:
    if part == "inner":
        return "set split.inner: 0 (no early stopping), or add cases of that class"
    if column is None:
        return "set fewer split.folds, or add patients of that class"
    return f"join values of the column '{column}', or draw folds without it"
