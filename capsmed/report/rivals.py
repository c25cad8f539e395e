"""Runs to be compared: read together, and refused where they are not of the same cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from capsmed.errors import CheckpointError, DataError
from capsmed.metrics.tables import baselines_of, no_shares, probabilities
from capsmed.report.run import RunFiles, read_run
from capsmed.report.words import label_of

_NAMED = 5  # cases that an error lists
_REPAIR = "it was changed or damaged; write it again with `capsmed evaluate RUN`"


@dataclass(frozen=True)
class Rivals:
    """Models of one or more runs on the same cases.

    Attributes:
        models: the predictions of each by the name it is told by.
        cohort: of the first run: patients by case.
        runs: the runs, as read.
        left_out: cases that not all runs have predicted, with ``shared``.
        remarks: what must be said with the figures.
    """

    models: dict[str, pd.DataFrame]
    cohort: pd.DataFrame
    runs: list[RunFiles]
    left_out: int
    remarks: tuple[str, ...]

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes in the first run's order."""
        return self.runs[0].classes

    @property
    def positive(self) -> str:
        """The positive class."""
        return self.runs[0].positive


def read_rivals(folders: Sequence[Path], baselines: bool = False, shared: bool = False) -> Rivals:
    """Read finished runs, or evaluations of runs, whose predictions are to be compared.

    Args:
        folders: run folders or ``evaluations/<name>`` folders; of a single one its network is
            compared with its baselines.
        baselines: take the runs' baselines too; those that several runs have alike once.
        shared: compare on the cases that all have predicted, where they differ.

    Raises:
        CheckpointError: a folder is no finished run, or its predictions were changed.
        DataError: the runs do not fit: their classes, cases, labels or patients differ; or there
            is nothing to compare.
    """
    runs = [read_run(Path(folder)) for folder in folders]
    for run in runs[1:]:
        _same_classes(runs[0], run)
    for run in runs:
        _check(run)
    models = _models(runs, baselines or len(runs) == 1)
    if len(models) < 2:
        raise DataError(
            f"{runs[0].folder}: expected another run, or baselines in this one, got the network "
            "alone; give a second run"
        )
    cases = {name: set(rows["case_id"]) for name, rows in models.items()}
    common = set.intersection(*cases.values())
    _same_cases(cases, common, shared)
    for run in runs[1:]:
        _same_truth(runs[0], run, common)
    everyone = set.union(*cases.values())
    kept = {n: rows[rows["case_id"].isin(common)] for n, rows in models.items()}
    left_out = len(everyone) - len(common)
    return Rivals(kept, runs[0].cohort, runs, left_out, _remarks(runs, left_out))


def _remarks(runs: list[RunFiles], left_out: int) -> tuple[str, ...]:
    found = list(dict.fromkeys(run.metrics["note"] for run in runs if run.metrics["note"]))
    if left_out:
        who, are = ("case", "is") if left_out == 1 else ("cases", "are")
        found.append(f"{left_out:,} {who} that not all have predicted {are} left out")
    keys = ["repeat", "fold", "case_id", "part"]
    splits = [run.splits for run in runs if len(run.splits)]
    sets = {frozenset(map(tuple, table[keys].to_numpy())) for table in splits}
    if len(sets) > 1:
        found.append("the runs were trained on different folds")
    return tuple(found)


def _check(run: RunFiles) -> None:
    """Refuse predictions that were changed: figures made from them would be those of nothing."""
    place, labels = run.folder / "predictions.csv", run.cohort.drop_duplicates("case_id")
    labels = labels.set_index("case_id")["label"].astype(str)
    if not len(run.of(run.model)):
        raise CheckpointError(f"{place}: expected predictions of {run.model}, got none; {_REPAIR}")
    for model, rows in run.predictions.groupby("model"):
        try:
            shares = probabilities(rows, run.classes)
        except ValueError as error:
            raise CheckpointError(f"{place}: {error}; {_REPAIR}") from error
        wrong = no_shares(shares)
        if wrong.any():
            first = rows.iloc[int(wrong.argmax())]["case_id"]
            raise CheckpointError(
                f"{place}: expected probabilities from 0 to 1 that sum to 1, got others for "
                f"{_listed(set(rows['case_id'][wrong]))}, '{first}' with "
                f"{np.array2string(shares[wrong.argmax()], precision=3)}; {_REPAIR}"
            )
        told = rows["label"].astype(str) != rows["case_id"].map(labels)
        if told.any():
            raise CheckpointError(
                f"{place}: expected the labels of cohort.csv, got others for "
                f"{_listed(set(rows['case_id'][told]))}; {_REPAIR}"
            )
        counts = rows.groupby(["repeat", "seed", "case_id"]).size().unstack(fill_value=0)
        uneven = counts.columns[(counts != 1).any()]
        if len(uneven):
            raise CheckpointError(
                f"{place}: expected each case once in each run (repeat and seed) of {model}, got "
                f"other counts of {_listed(set(uneven))}; {_REPAIR}"
            )


def _models(runs: list[RunFiles], baselines: bool) -> dict[str, pd.DataFrame]:
    found: dict[str, pd.DataFrame] = {}
    for name, run in zip(_names(runs), runs, strict=True):
        found[run.model if len(runs) == 1 else name] = run.of(run.model)
        for baseline in baselines_of(run.predictions["model"]) if baselines else []:
            rows = run.of(baseline)
            known = any(_alike(rows, other) for other in found.values())
            if len(rows) and not known:
                text = label_of(baseline)
                found[text if text not in found else f"{text} of {name}"] = rows
    return found


def _names(runs: list[RunFiles]) -> list[str]:
    """What the runs are told by: their names, else their folders: the first in which all differ."""
    for named in (_name, _folder, lambda run: str(run.folder)):
        names = [named(run) for run in runs]
        if len(set(names)) == len(names):
            return names
    listed = ", ".join(str(run.folder) for run in runs)
    raise DataError(f"expected different runs, got one of them twice: {listed}; give each once")


def _name(run: RunFiles) -> str:
    return f"{run.name} on {run.evaluation}" if run.evaluation else run.name


def _folder(run: RunFiles) -> str:
    parts = run.folder.resolve().parts
    return f"{parts[-3]} on {run.evaluation}" if run.evaluation else parts[-1]


def _alike(first: pd.DataFrame, second: pd.DataFrame) -> bool:
    """Whether two tables predict the same of the same cases."""
    keys = ["repeat", "seed", "fold", "case_id"]
    columns = [*keys, *(c for c in first if c.startswith("prob_"))]
    if len(first) != len(second) or not set(columns) <= set(second.columns):
        return False
    one, other = (
        rows[columns].sort_values(keys).reset_index(drop=True) for rows in (first, second)
    )
    return one.equals(other)


def _same_classes(first: RunFiles, other: RunFiles) -> None:
    if set(first.classes) != set(other.classes) or first.positive != other.positive:
        positive = f", positive {first.positive!r}" if first.positive else ""
        raise DataError(
            f"{other.folder}: expected the classes of {first.folder}, {list(first.classes)}"
            f"{positive}; got {list(other.classes)}, positive {other.positive!r}; only runs that "
            "answer the same question can be compared"
        )


def _same_cases(cases: dict[str, set[str]], common: set[str], shared: bool) -> None:
    if not common:
        raise DataError(
            f"expected cases in common, got none of {_joined(list(cases))}; "
            "compare runs of one cohort"
        )
    first = next(iter(cases))
    for name, own in cases.items():
        if own == cases[first] or shared:
            continue
        sides = ((first, cases[first] - own), (name, own - cases[first]))
        told = "; ".join(f"only '{who}' has {_listed(which)}" for who, which in sides if which)
        raise DataError(
            f"expected predictions of the same cases, got others: {told}; "
            f"compare on the {len(common):,} cases that all have with --shared"
        )


def _same_truth(first: RunFiles, other: RunFiles, cases: set[str]) -> None:
    tables = [run.cohort.drop_duplicates("case_id").set_index("case_id") for run in (first, other)]
    one, two = (table.loc[sorted(cases)] for table in tables)
    wrong = one.index[one["label"].astype(str) != two["label"].astype(str)]
    if len(wrong):
        raise DataError(
            f"{other.folder}: expected the labels of {first.folder}, got others for "
            f"{_listed(set(wrong))}; compare runs of one cohort"
        )
    if (one["patient"] == "").any() or (two["patient"] == "").any():
        return
    # each run has pseudonyms of its own: who belongs together must be the same
    pairs = pd.DataFrame({"one": one["patient"], "two": two["patient"]})
    apart = pairs.groupby("one")["two"].transform("nunique").gt(1)
    apart |= pairs.groupby("two")["one"].transform("nunique").gt(1)
    if apart.any():
        raise DataError(
            f"{other.folder}: expected cases grouped into patients as in {first.folder}, got "
            f"another grouping of {_listed(set(pairs.index[apart]))}; compare runs of one cohort"
        )


def _listed(cases: set[str]) -> str:
    shown = ", ".join(f"'{case}'" for case in sorted(cases)[:_NAMED])
    more = ", ..." if len(cases) > _NAMED else ""
    return f"{len(cases):,} case{'s' if len(cases) > 1 else ''} ({shown}{more})"


def _joined(names: list[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
