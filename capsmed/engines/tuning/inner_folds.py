"""The folds that trials are measured on: drawn inside the training part of a fold, by patient."""

from __future__ import annotations

import numpy as np
import pandas as pd

from capsmed.config import Experiment
from capsmed.data import stratify
from capsmed.data.cohort import Cohort
from capsmed.data.splits import groups_of
from capsmed.errors import ConfigError, DataError

_DEALT, _STOPPING = 3, 4  # what a random number is for; 0 to 2 are those of the outer folds


def inner_splits(
    cohort: Cohort, splits: pd.DataFrame, experiment: Experiment, repeat: int, fold: int
) -> pd.DataFrame:
    """Divide the training part of a fold anew, as `capsmed.data.splits.assign` divides a cohort.

    Each of ``tuning.folds`` has a test part, on which trials are measured, a training part and,
    with ``split.inner``, a part of the rest that chooses the epoch. With one fold it is the fold's
    own inner part that does both.

    Args:
        cohort: the run's.
        splits: of the run.
        experiment: its configuration.
        repeat: of the fold.
        fold: whose training part is divided; its test part is in none of the result.

    Returns:
        columns ``repeat``, ``fold`` (the inner one), ``case_id``, ``part``.

    Raises:
        ConfigError: one inner fold is asked for, and there is no inner part.
        DataError: a class has fewer patients than there are inner folds.
    """
    here = splits[(splits["repeat"] == repeat) & (splits["fold"] == fold)]
    own = here[here["part"].isin(["train", "inner"])]
    if experiment.tuning.folds == 1:
        return _one_fold(own)
    rows = cohort.included.set_index("case_id").loc[own["case_id"]].reset_index()
    groups, targets = groups_of(rows, experiment.split), rows["target"].to_numpy()
    folds = experiment.tuning.folds
    _check(cohort, groups, targets, max(folds, 3 if experiment.split.inner else 2), fold)
    key = [experiment.split.seed, repeat, fold]
    fold_of = stratify.deal(groups, targets, folds, np.random.default_rng([*key, _DEALT]))
    tables = []
    for number in range(folds):
        parts = np.where(fold_of == number, "test", "train").astype(object)
        if experiment.split.inner:
            rest = np.flatnonzero(parts == "train")
            rng = np.random.default_rng([*key, _STOPPING, number])
            drawn = stratify.draw(groups[rest], targets[rest], experiment.split.inner, rng)
            parts[rest[drawn]] = "inner"
        tables.append(
            pd.DataFrame(
                {"repeat": repeat, "fold": number, "case_id": rows["case_id"], "part": parts}
            )
        )
    return pd.concat(tables, ignore_index=True)


def check_inner_folds(cohort: Cohort, splits: pd.DataFrame, experiment: Experiment) -> None:
    """Divide every fold once, so that what cannot be divided is said before an image is read.

    Raises:
        ConfigError: see `inner_splits`.
        DataError: see `inner_splits`.
    """
    if experiment.tuning.space:
        for repeat, fold in splits[["repeat", "fold"]].drop_duplicates().itertuples(index=False):
            inner_splits(cohort, splits, experiment, int(repeat), int(fold))


def _one_fold(own: pd.DataFrame) -> pd.DataFrame:
    if not (own["part"] == "inner").any():
        raise ConfigError(
            "tuning.folds: expected 2 or more where folds have no inner part (split.inner: 0), "
            "got 1; set one of the two"
        )
    measured = own[own["part"] == "inner"].assign(part="test")
    return pd.concat([own, measured], ignore_index=True).assign(fold=0)


def _check(cohort: Cohort, groups: np.ndarray, targets: np.ndarray, needed: int, fold: int) -> None:
    """``needed``: one patient each that is measured, that trains and, if asked for, that stops."""
    for index, name in enumerate(cohort.classes):
        held = len(set(groups[targets == index]))
        if held < needed:
            raise DataError(
                f"tuning.folds: expected {needed} or more patients of class '{name}' in the "
                f"training part of fold {fold}, got {held}; set fewer tuning.folds or split.folds, "
                "or train without a search"
            )
