"""Baselines that need no network: features of the lesion, columns of the table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from capsmed.config import Experiment
from capsmed.data.cohort import Cohort
from capsmed.data.patches import PatchSet
from capsmed.data.progress import tell
from capsmed.data.radiomics import radiomics
from capsmed.data.table import number
from capsmed.engines.run_folder import RunFolder
from capsmed.errors import CheckpointError, DataError, did_you_mean
from capsmed.metrics.combined import COMBINED, combined
from capsmed.metrics.size_only import size_only
from capsmed.metrics.tables import SCORE
from capsmed.metrics.tabular import PENALTIES, tabular

FEATURES, COLUMNS = "features.csv", "columns.csv"
_CLINICAL, _SCORES = "baselines.clinical", "baselines.scores"
_SUBGROUPS = "evaluation.subgroups"
#: Columns that are the answer, or who it is about.
_ANSWERS = ("label", "target", "case_id", "patient_id", "excluded")
_LEVELS = 10  # different words of a column at most
_GROUPS = 20  # of a column whose groups are measured apart
_HUGE = 1e12  # a number beyond it is none of a patient's
_UNPENALISED = (1e-6,)  # a single score keeps its order and is only put on the scale of a chance


def check_columns(experiment: Experiment, cohort: Cohort, whole: bool = True) -> None:
    """Refuse columns that the cohort's table does not have, or that cannot be used.

    Raises:
        DataError: a column is missing, a score is no number, or a column has too many words.
    """
    for key, names in _asked(experiment).items():
        for name in names:
            if name not in cohort.table:
                known = ", ".join(repr(str(column)) for column in cohort.table.columns)
                raise DataError(
                    f"{key}: expected a column of the cohort's table, got {name!r}"
                    f"{did_you_mean(name, map(str, cohort.table.columns))}; columns are {known}"
                )
            if name in _ANSWERS:
                raise DataError(
                    f"{key}: expected a column that neither is the answer nor names "
                    f"somebody, got {name!r}; leave it out"
                )
            if key != _SUBGROUPS:
                _check_cells(key, name, cohort.included, whole)
            else:
                _check_groups(name, cohort.included)


def _check_groups(name: str, rows: pd.DataFrame) -> None:
    """Refuse a column of many words: reports would show them, and they may name people."""
    cells = rows[name].astype(str).str.strip()
    words = cells[(cells != "") & ~cells.map(_is_number)]
    if words.nunique() > _GROUPS:
        raise DataError(
            f"{_SUBGROUPS}: expected numbers or at most {_GROUPS} different words in the column "
            f"{name!r}, got {words.nunique()}, which reports would show; group them"
        )


def _check_cells(key: str, name: str, rows: pd.DataFrame, whole: bool) -> None:
    cells = rows[name].astype(str).str.strip()
    if (cells == "").all():
        raise DataError(f"{key}: expected values in the column {name!r}, got none; leave it out")
    given = cells[cells != ""]
    if whole and given.nunique() == 1:
        raise DataError(
            f"{key}: expected values that differ in the column {name!r}, got {given.iloc[0]!r} in "
            "every case; leave it out"
        )
    words = given[~given.map(_is_number)]
    if key == _SCORES and len(words):
        case = rows["case_id"][words.index[0]]
        raise DataError(
            f"{_SCORES}: expected numbers in the column {name!r}, got "
            f"{words.iloc[0]!r} for case {case!r}; leave unknown ones empty"
        )
    if 0 < len(words) < len(given):
        case = rows["case_id"][words.index[0]]
        raise DataError(
            f"{key}: expected numbers or words in the column {name!r}, got both, {words.iloc[0]!r} "
            f"for case {case!r}; leave unknown ones empty"
        )
    if words.nunique() > _LEVELS:
        raise DataError(
            f"{_CLINICAL}: expected numbers or at most {_LEVELS} different words in the "
            f"column {name!r}, got {words.nunique()}; group them"
        )


def _is_number(cell: str) -> bool:
    value = number(cell)
    return value is not None and bool(np.isfinite(value)) and abs(value) < _HUGE


def keep_features(
    run: RunFolder, experiment: Experiment, cohort: Cohort, patches: PatchSet
) -> None:
    """Write what the baselines are made from, once: lesions' features, and the table's columns.

    The columns, such as an age, go to ``private/``, which is never shared.
    """
    if "radiomics" in experiment.baselines.models and not (run.path / FEATURES).exists():
        run.write_table(FEATURES, radiomics(patches, progress=True))
    if _names(experiment):
        run.write_private(COLUMNS, cells_of(experiment, cohort))


def groups(
    experiment: Experiment, cases: pd.DataFrame, cells: pd.DataFrame | None
) -> dict[str, pd.Series]:
    """Columns whose groups are measured apart, as text by case: sizes, and those asked for.

    Args:
        experiment: names the columns.
        cases: the case table.
        cells: what `keep_features` has kept of the table, or None.
    """
    found: dict[str, pd.Series] = {}
    if "diameter_mm" in cases and cases["diameter_mm"].notna().any():
        sizes = cases.set_index("case_id")["diameter_mm"]
        found["diameter in mm"] = sizes.map(lambda size: "" if np.isnan(size) else f"{size:g}")
    if cells is not None:
        table = cells.set_index("case_id")
        asked = [name for name in experiment.evaluation.subgroups if name in table]
        found |= {name: table[name].str.strip() for name in asked}
    return found


def kept_columns(run: RunFolder, experiment: Experiment) -> pd.DataFrame | None:
    """What `keep_features` has kept of the table; None where nothing was asked for."""
    return run.read_table(f"private/{COLUMNS}") if _names(experiment) else None


def predictions(
    run: RunFolder,
    experiment: Experiment,
    classes: tuple[str, ...],
    network: pd.DataFrame,
    inner: pd.DataFrame | None,
    other: tuple[Cohort, PatchSet, pd.DataFrame] | None = None,
) -> Iterator[pd.DataFrame]:
    """Rows of predictions.csv of each such baseline; none for one that cannot be fitted.

    Args:
        run: where `keep_features` has written.
        experiment: its configuration.
        classes: in order.
        network: rows of predictions.csv of all trained models, for what is predicted.
        inner: the same for the folds' inner parts, where all have one.
        other: cohort, patches and case table of another cohort to predict instead.
    """
    baselines, cases = experiment.baselines, run.read_table("cohort.csv")
    splits = run.read_table("splits.csv")
    if "size_only" in baselines.models:
        yield size_only(cases, splits, classes, None if other is None else other[2])

    def fitted(
        name: str,
        own: pd.DataFrame,
        theirs: pd.DataFrame | None,
        penalties: Sequence[float] = PENALTIES,
    ) -> pd.DataFrame:
        told = None if other is None or theirs is None else (theirs, other[2])
        rows = tabular(name, own, cases, splits, classes, told, penalties=penalties)
        if not len(rows):
            tell([f"{name}: not fitted, a training part has no case of a class with its values"])
        return rows

    if "radiomics" in baselines.models:
        theirs = None if other is None else radiomics(other[1], progress=True)
        own = run.read_table(FEATURES)
        if not {"case_id", "log_size"} <= set(own):
            raise CheckpointError(
                f"{run.path / FEATURES}: expected case_id and the lesions' features, got the "
                f"columns {', '.join(map(str, own.columns))}; delete the file and write it again "
                f"with `capsmed train --resume {run.path}`"
            )
        yield fitted("radiomics", own, theirs)
    if baselines.clinical or baselines.scores:
        cells = run.read_table(f"private/{COLUMNS}")
        others = None if other is None else other_cells(experiment, other[0])
        if baselines.clinical and _are_there("clinical", baselines.clinical, cells, others):
            own, theirs = _encoded(cells, others, list(baselines.clinical))
            yield fitted("clinical", own, theirs)
            if baselines.combined:
                told = None if other is None or theirs is None else (theirs, other[2])
                name = experiment.network.name
                yield _combined(name, network, inner, own, cases, splits, classes, told)
        for name in baselines.scores:
            if not _are_there(f"{SCORE}{name}", (name,), cells, others):
                continue
            yield fitted(f"{SCORE}{name}", *_encoded(cells, others, [name]), _UNPENALISED)


def _combined(
    name: str,
    network: pd.DataFrame,
    inner: pd.DataFrame | None,
    own: pd.DataFrame,
    cases: pd.DataFrame,
    splits: pd.DataFrame,
    classes: tuple[str, ...],
    other: tuple[pd.DataFrame, pd.DataFrame] | None,
) -> pd.DataFrame:
    rows = network[network["model"] == name]
    inside = network.iloc[:0] if inner is None else inner[inner["model"] == name]
    found = combined(rows, inside, own, cases, splits, classes, other)
    if not len(found):
        tell([f"{COMBINED}: not fitted, an inner part has no case of a class with its values"])
    return found


def cells_of(experiment: Experiment, cohort: Cohort) -> pd.DataFrame:
    """The columns that are asked for, as text, with case_id.

    Raises:
        DataError: as `check_columns`.
    """
    check_columns(experiment, cohort)
    return cohort.included[["case_id", *_names(experiment)]].astype(str)


def other_cells(experiment: Experiment, cohort: Cohort) -> pd.DataFrame:
    """Those of the columns that another cohort has, as text, with case_id."""
    present = [name for name in _names(experiment) if name in cohort.table]
    return cohort.included[["case_id", *present]].astype(str)


def _are_there(
    model: str, names: Sequence[str], own: pd.DataFrame, others: pd.DataFrame | None
) -> bool:
    """Whether another cohort has the columns; tells what is absent and which cells say nothing."""
    if others is None:
        return True
    absent = [name for name in names if name not in others]
    if absent:
        tell([f"{model}: not made, the cohort has no column {', '.join(map(repr, absent))}"])
        return False
    for name in names:
        known, cells = (table[name].str.strip() for table in (own, others))
        words = set(known[~known.map(_is_number)]) - {""}
        unread = cells[
            (cells != "") & ~(cells.isin(set(known)) if words else cells.map(_is_number))
        ]
        if len(unread):
            what = "a word that the run does not know" if words else "no number"
            tell(
                [
                    f"{model}: {len(unread)} of {len(cells)} cells of {name!r} are taken as "
                    f"missing, the first is {unread.iloc[0]!r}, {what}"
                ]
            )
    return True


def _asked(experiment: Experiment) -> dict[str, tuple[str, ...]]:
    """The columns of the table that each key asks for."""
    baselines = experiment.baselines
    return {
        _CLINICAL: baselines.clinical,
        _SCORES: baselines.scores,
        _SUBGROUPS: experiment.evaluation.subgroups,
    }


def _names(experiment: Experiment) -> list[str]:
    """Every column of the table that is asked for, once."""
    return list(dict.fromkeys(name for names in _asked(experiment).values() for name in names))


def _encoded(
    own: pd.DataFrame, others: pd.DataFrame | None, names: list[str]
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Numbers as they are; of words one column each, but for the first, of the run's own table."""

    def encoded(table: pd.DataFrame) -> pd.DataFrame:
        columns = {"case_id": table["case_id"]}
        for name in names:
            columns |= _columns(name, table[name], own[name])
        return pd.DataFrame(columns)

    return encoded(own), None if others is None else encoded(others)


def _columns(name: str, cells: pd.Series, known: pd.Series) -> dict[str, pd.Series]:
    words = sorted({c for c in known.str.strip() if c and not _is_number(c)})
    trimmed = cells.str.strip()
    if not words:
        values = [number(cell) for cell in trimmed]
        return {name: pd.Series(np.array(values, dtype=float), index=cells.index)}
    levels = sorted({c for c in known.str.strip() if c})
    given = trimmed.where(trimmed.isin(levels))
    return {f"{name}: {w}": (given == w).astype(float).where(given.notna()) for w in levels[1:]}
