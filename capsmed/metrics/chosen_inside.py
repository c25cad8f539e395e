"""What is chosen on the inner parts of the folds and judged on their test parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import expit, logsumexp

from capsmed.metrics.calibration import (
    FLAT,
    LEAST,
    calibration_error,
    calibration_estimates,
    logistic_fit,
)
from capsmed.metrics.decided import decision_estimates
from capsmed.metrics.estimate import Estimate
from capsmed.metrics.runs import Plan, intervals, measure
from capsmed.metrics.sample import Sample, estimates, samples_of
from capsmed.metrics.tables import probabilities, targets
from capsmed.metrics.units import units_of

#: Sensitivities at which thresholds are told.
WANTED = (0.8, 0.9, 0.95)
_FOLD = ["repeat", "seed", "fold"]
_AT_A_POINT = ("sensitivity", "specificity", "ppv", "npv")


def chosen_threshold(scores: np.ndarray, true: np.ndarray, sensitivity: float | None) -> float:
    """A threshold chosen on the inner part of a fold, for its test part.

    Args:
        scores: [n] probability of the positive class.
        true: [n] whether the case is of that class; both classes are there.
        sensitivity: the largest threshold that reaches it is taken; None for the one with the
            largest sensitivity plus specificity (Youden 1950), half-way between two scores, of
            equals the nearest to 0.5.

    >>> chosen_threshold(np.array([0.1, 0.3, 0.7, 0.8]), np.array([False, False, True, True]), None)
    0.5
    """
    if sensitivity is not None:
        return _threshold(pd.Series(scores[true]), sensitivity)
    ordered = np.unique(scores)
    cuts = np.concatenate([ordered[:1], (ordered[1:] + ordered[:-1]) / 2])
    called = scores[None, :] >= cuts[:, None]
    index = called[:, true].mean(axis=1) - called[:, ~true].mean(axis=1)
    best = cuts[index >= index.max() - 1e-12]
    return float(best[np.abs(best - 0.5).argmin()])


def operating_points(
    predictions: pd.DataFrame, inner: pd.DataFrame, cohort: pd.DataFrame, plan: Plan
) -> list[dict[str, Any]]:
    """Sensitivity and specificity in the test parts at thresholds chosen in the inner parts.

    In each fold the threshold is the largest at which the inner part's sensitivity is at least what
    is wanted. What is reached in the test parts may be less: that is the point.

    Args:
        predictions: rows of one model.
        inner: rows of the same model for each fold's inner part.
        cohort: the run's cohort.csv.
        plan: how.

    Returns:
        An entry for each of `WANTED` with ``wanted``, ``thresholds`` (least and largest) and the
        four shares with their intervals; empty for other than two classes, or where an inner part
        has no positive case.
    """
    if len(plan.classes) != 2:
        return []
    column, label = f"prob_{plan.classes[plan.positive]}", plan.classes[plan.positive]
    positives = inner[inner["label"].astype(str) == label].groupby(_FOLD)[column]
    folds = predictions.groupby(_FOLD).ngroups
    if positives.ngroups < folds:
        return []
    units, points = units_of(predictions, cohort), []
    for wanted in WANTED:
        limits = positives.apply(lambda scores, share=wanted: _threshold(scores, share))
        rows = predictions.drop(columns="threshold", errors="ignore").merge(
            limits.rename("threshold").reset_index(), on=_FOLD
        )
        found, _ = measure(rows, units, plan, _at_a_point)
        ends = [float(limits.min()), float(limits.max())]
        points.append({"wanted": wanted, "thresholds": ends, **intervals(found, units, plan)})
    return points


def recalibrated(
    predictions: pd.DataFrame, inner: pd.DataFrame, cohort: pd.DataFrame, plan: Plan
) -> dict[str, Any]:
    """Scores of the probabilities after a correction fitted on each fold's inner part.

    ``temperature`` (Guo et al. 2017, arXiv 1706.04599) multiplies all logarithms of probabilities
    by one number; ``platt`` (Platt 1999), of two classes, fits slope and intercept of the log odds
    to targets a little inside 0 and 1. Neither changes the predictions themselves.

    Args:
        predictions: rows of one model.
        inner: rows of the same model for each fold's inner part.
        cohort: the run's cohort.csv.
        plan: how.

    Returns:
        For each way the scores of `calibration_estimates` and ``calibration_error``; empty where a
        fold has no inner part.
    """
    folds = dict(list(inner.groupby(_FOLD)))
    if any(key not in folds for key, _ in predictions.groupby(_FOLD)):
        return {}
    units = units_of(predictions, cohort)
    ways = {"temperature": _temperature} | ({"platt": _platt} if len(plan.classes) == 2 else {})
    result = {}
    for name, way in ways.items():
        parts = [
            _corrected(rows, folds[key], plan, way) for key, rows in predictions.groupby(_FOLD)
        ]
        rows = pd.concat(parts)
        found, _ = measure(rows, units, plan, _of_probabilities)
        label = plan.classes[plan.positive]
        samples = samples_of(rows, units.index, plan.classes, label)
        error = float(np.mean([calibration_error(sample, plan.positive) for sample in samples]))
        result[name] = {
            **intervals(found, units, plan),
            "calibration_error": {"value": error, "low": None, "high": None, "method": "none"},
        }
    return result


def _threshold(scores: pd.Series, share: float) -> float:
    """The largest threshold that ``share`` of these scores reach."""
    falling = np.sort(scores.to_numpy(float))[::-1]
    return float(falling[int(np.ceil(share * len(falling) - 1e-9)) - 1])


def _at_a_point(
    sample: Sample, positive: int, weights: np.ndarray, confidence: float
) -> dict[str, Estimate]:
    settings = (sample, positive, weights, confidence)
    found = estimates(*settings) | decision_estimates(*settings)
    return {name: found[name] for name in _AT_A_POINT}


def _of_probabilities(
    sample: Sample, positive: int, weights: np.ndarray, confidence: float
) -> dict[str, Estimate]:
    return calibration_estimates(sample, positive, weights)


Way = Callable[[np.ndarray, np.ndarray, np.ndarray, int], np.ndarray]


def _corrected(rows: pd.DataFrame, inner: pd.DataFrame, plan: Plan, way: Way) -> pd.DataFrame:
    logs = [
        np.log(np.clip(probabilities(table, plan.classes), LEAST, 1)) for table in (rows, inner)
    ]
    shares = way(logs[0], logs[1], targets(inner, plan.classes), plan.positive)
    names = [f"prob_{name}" for name in plan.classes]
    return rows.assign(**{name: shares[:, k] for k, name in enumerate(names)})


def _temperature(
    logs: np.ndarray, inner: np.ndarray, target: np.ndarray, positive: int
) -> np.ndarray:
    def surprise(power: float) -> float:
        scaled = np.exp(power) * inner
        return float(np.mean(logsumexp(scaled, axis=1) - scaled[np.arange(len(target)), target]))

    scaled = np.exp(minimize_scalar(surprise, bounds=(-3, 3), method="bounded").x) * logs
    return np.exp(scaled - logsumexp(scaled, axis=1, keepdims=True))


def _platt(logs: np.ndarray, inner: np.ndarray, target: np.ndarray, positive: int) -> np.ndarray:
    truth = target == positive
    above, below = truth.sum(), (~truth).sum()
    wanted = np.where(truth, (above + 1) / (above + 2), 1 / (below + 2))
    odds = inner[:, positive] - inner[:, 1 - positive]
    fitted, _ = logistic_fit(wanted, odds, np.ones((len(odds), 1)), FLAT)
    intercept, slope = (float(v) for v in fitted[:, 0])
    if not np.isfinite([intercept, slope]).all():  # all inner scores alike: only their level
        intercept, slope = float(np.log(wanted.mean() / (1 - wanted.mean()))), 0.0
    share = expit(intercept + slope * (logs[:, positive] - logs[:, 1 - positive]))
    found = np.empty((len(share), 2))
    found[:, positive], found[:, 1 - positive] = share, 1 - share
    return found
