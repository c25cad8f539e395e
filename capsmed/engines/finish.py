"""The end of a run: pooled predictions, baselines, metrics, report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from capsmed.config import Evaluation, Experiment, Split
from capsmed.data.cohort import Cohort
from capsmed.engines import tabular_baselines
from capsmed.engines.run_folder import RunFolder, read_table
from capsmed.errors import CheckpointError
from capsmed.metrics.summary import metrics_json
from capsmed.metrics.tables import no_shares


@dataclass(frozen=True)
class Labels:
    """What a run's probabilities mean: class order, positive class, and what must be said."""

    classes: tuple[str, ...]
    positive: str
    note: str

    @classmethod
    def of(cls, cohort: Cohort, split: Split) -> Labels:
        """Take them from the cohort that the run is trained on, and say if its split may leak."""
        leaks = cohort.patients_known and split.by == "case"
        warning = "split by case: a patient may stand in training and test parts, so scores may be"
        notes = [cohort.note, f"{warning} inflated" if leaks else ""]
        return cls(cohort.classes, cohort.positive, "; ".join(note for note in notes if note))

    @classmethod
    def read(cls, run: RunFolder) -> Labels:
        """Take them from a run folder.

        Raises:
            CheckpointError: the run has not got as far as its first epoch.
        """
        content = run.read_json("environment.json").get("labels")
        if not content:
            raise CheckpointError(
                f"{run.path / 'environment.json'}: expected the run's classes, got none; "
                f"finish the run with `capsmed train --resume {run.path}`"
            )
        return cls(tuple(content["classes"]), content["positive"], content["note"])


def finish(run: RunFolder, experiment: Experiment, labels: Labels, folds: list[Path]) -> None:
    """Pool the folds' predictions, add the tabular baselines, write predictions and metrics."""
    predictions = pd.concat(
        [read_table(folder / "predictions.csv") for folder in folds], ignore_index=True
    )
    cases = run.read_table("cohort.csv")
    _check_complete(run, predictions, len(folds))
    if not experiment.network.options.get("multilabel"):
        _check_shares(run, predictions, labels.classes)
    inside = inner_predictions(folds)
    rivals = tabular_baselines.predictions(run, experiment, labels.classes, predictions, inside)
    predictions = pd.concat([predictions, *filter(len, rivals)], ignore_index=True)
    evaluation = experiment.evaluation
    cells = tabular_baselines.kept_columns(run, experiment)
    columns = tabular_baselines.groups(experiment, cases, cells)
    write_results(run, predictions, cases, evaluation, labels, inside, columns)


def inner_predictions(folds: list[Path]) -> pd.DataFrame | None:
    """The trained models' predictions of the folds' inner parts; None where a fold has none."""
    inner = [folder / "inner.csv" for folder in folds]
    if not all(path.exists() for path in inner):  # no inner parts, or a run of an earlier version
        return None
    return pd.concat([read_table(path) for path in inner], ignore_index=True)


def _check_complete(run: RunFolder, predictions: pd.DataFrame, fits: int) -> None:
    splits = run.read_table("splits.csv")
    tested = int((splits["part"] == "test").sum())
    folds = len(splits[["repeat", "fold"]].drop_duplicates())
    expected = tested * fits // folds
    if len(predictions) != expected:
        raise CheckpointError(
            f"{run.path}: expected {expected} predictions in the folds' files, got "
            f"{len(predictions)}; delete the damaged fold's folder and resume the run"
        )


def _check_shares(run: RunFolder, predictions: pd.DataFrame, classes: tuple[str, ...]) -> None:
    values = predictions[[f"prob_{name}" for name in classes]].to_numpy(float)
    wrong = no_shares(values) & np.isfinite(values).all(axis=1)  # others are told of as diverged
    if wrong.any():
        row = predictions.iloc[int(wrong.argmax())]
        raise CheckpointError(
            f"{run.path}: expected probabilities from 0 to 1 that sum to 1, got "
            f"{np.array2string(values[wrong.argmax()], precision=3)} for case {row['case_id']!r} "
            f"of fold {row['fold']}; delete the damaged fold's folder and resume the run"
        )


def write_results(
    folder: RunFolder,
    predictions: pd.DataFrame,
    cases: pd.DataFrame,
    evaluation: Evaluation,
    labels: Labels,
    inner: pd.DataFrame | None = None,
    columns: Mapping[str, pd.Series] | None = None,
) -> None:
    """Write ``predictions.csv`` and ``metrics.json`` into a run or evaluation folder.

    Args:
        folder: of the run or evaluation.
        predictions: of all models.
        cases: the case table.
        evaluation: level and number of resamples.
        labels: what the probabilities mean.
        inner: predictions of the folds' inner parts, on which thresholds and corrections are
            chosen.
        columns: text by case whose groups are measured apart.

    Raises:
        CheckpointError: the predictions are not finite or do not fit the cases.
    """
    if not isinstance(evaluation.threshold, str) and evaluation.threshold != 0.5:
        predictions = predictions.assign(threshold=evaluation.threshold)
    folder.write_table("predictions.csv", predictions)
    try:
        metrics = metrics_json(
            predictions,
            cases,
            labels.classes,
            labels.positive,
            confidence=evaluation.confidence,
            bootstrap=evaluation.bootstrap,
            note=labels.note,
            inner=inner,
            columns=columns,
        )
    except ValueError as error:  # a diverged network, or files of a run changed by hand
        raise CheckpointError(
            f"{folder.path}: {error}; train again with a smaller learning rate"
        ) from error
    folder.write_json("metrics.json", metrics)
