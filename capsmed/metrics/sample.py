"""One run's predictions (one repeat and seed) laid out for the statistics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from capsmed.metrics.estimate import Estimate, area, average, complement, proportion
from capsmed.metrics.scores import decide
from capsmed.metrics.tables import probabilities, targets


@dataclass(frozen=True)
class Sample:
    """Rows of one run: who they belong to, what they are, what was predicted."""

    unit: np.ndarray  # [rows] index of the patient, or of the case where patients are unknown
    target: np.ndarray  # [rows]
    probabilities: np.ndarray  # [rows, classes]
    predicted: np.ndarray  # [rows]


def sample_of(
    predictions: pd.DataFrame, units: pd.Series, classes: tuple[str, ...], positive: int
) -> Sample:
    """Lay out the predictions of one run.

    A case predicted by several folds' models (another cohort) enters once, with the mean of
    their probabilities and thresholds.

    Args:
        predictions: rows of one model, repeat and seed.
        units: unit index by case_id.
        classes: in class order.
        positive: index of the positive class.
    """
    rows = _one_row_a_case(predictions)
    scores = probabilities(rows, classes)
    threshold = rows["threshold"].to_numpy(float) if "threshold" in rows else None
    return Sample(
        units.loc[rows["case_id"]].to_numpy(int),
        targets(rows, classes),
        scores,
        decide(scores, positive, threshold),
    )


def samples_of(
    predictions: pd.DataFrame, units: pd.Series, classes: tuple[str, ...], positive: str
) -> list[Sample]:
    """The runs of one model, by repeat and seed."""
    index = list(classes).index(positive) if positive in classes else 0
    runs = predictions.groupby(["repeat", "seed"])
    return [sample_of(rows, units, tuple(classes), index) for _, rows in runs]


def estimates(
    sample: Sample,
    positive: int,
    weights: np.ndarray,
    confidence: float,
    areas: Sequence[Estimate] | None = None,
) -> dict[str, Estimate]:
    """Every metric of one run, in the order in which they are reported.

    Sensitivity and specificity are of the positive class and exist for two classes only; with
    more, AUC is the mean of the one-vs-rest areas.

    Args:
        sample: the run.
        positive: index of the positive class.
        weights: [units, resamples] of `resample`.
        confidence: of the closed-form intervals.
        areas: the areas whose mean the AUC is, where they are there already.
    """
    unit, target, right = sample.unit, sample.target, sample.target == sample.predicted
    n_classes = sample.probabilities.shape[1]

    def share(rows: np.ndarray) -> Estimate:
        return proportion(right[rows], unit[rows], weights, confidence)

    recalls = [share(target == k) for k in range(n_classes)]
    if areas is None:
        ranked = [positive] if n_classes == 2 else range(n_classes)
        areas = [
            area(target == k, sample.probabilities[:, k], unit, weights, confidence) for k in ranked
        ]
    result = {
        "auc": average(areas),
        "accuracy": share(np.ones(len(target), bool)),
        "balanced_accuracy": average(recalls),
    }
    result["error"] = complement(result["accuracy"])
    if n_classes == 2:
        result |= {"sensitivity": recalls[positive], "specificity": recalls[1 - positive]}
    return result


def _one_row_a_case(predictions: pd.DataFrame) -> pd.DataFrame:
    if not predictions["case_id"].duplicated().any():
        return predictions
    values = [c for c in predictions if c.startswith("prob_") or c == "threshold"]
    keys = predictions.groupby("case_id", sort=False)
    return keys["label"].first().to_frame().join(keys[values].mean()).reset_index()
