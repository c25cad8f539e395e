"""How well one network does on one part of its cohort, in the numbers a diagnosis needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import norm

from capsmed.metrics.intervals import newcombe
from capsmed.metrics.scores import accuracy, auc, balanced_accuracy, recall

EDGES = np.linspace(0, 1, 21)  # of the histogram of class capsules' activations


def part_facts(
    target: np.ndarray, probabilities: np.ndarray, unit: np.ndarray, classes: Sequence[str]
) -> dict[str, Any]:
    """AUC and balanced accuracy with closed-form intervals, counts, the most predicted class.

    Args:
        target: [n] class indices, at least one case.
        probabilities: [n, classes].
        unit: [n] who a case belongs to; the intervals are over patients, not over their cases.
        classes: names in class order.

    Returns:
        ``cases``, ``classes`` (their number), ``present`` (how many of them occur), ``accuracy``,
        ``balanced_accuracy`` with ``balanced_low`` and ``balanced_high``, ``most`` (the ``class``
        that is predicted most often and its ``share`` of the cases), and ``auc`` with ``value``,
        ``low`` and ``high``, or None where a class is absent. More than two classes: the mean of
        the one-vs-rest areas and of their limits, which is never too narrow.
    """
    predicted = probabilities.argmax(axis=1)
    low, high = balanced_interval(target, predicted, unit)
    counts = np.bincount(predicted, minlength=len(classes))
    most = int(counts.argmax())
    return {
        "cases": len(target),
        "classes": probabilities.shape[1],
        "present": len(np.unique(target)),
        "accuracy": accuracy(target, predicted),
        "balanced_accuracy": balanced_accuracy(target, predicted),
        "balanced_low": low,
        "balanced_high": high,
        "most": {"class": classes[most], "share": float(counts[most] / len(target))},
        "auc": _area(target, probabilities, unit),
    }


def balanced_interval(
    target: np.ndarray, predicted: np.ndarray, unit: np.ndarray
) -> tuple[float, float]:
    """95% interval of the balanced accuracy.

    The normal interval for a mean of independent recalls, each one's variance with a case right and
    a case wrong added (Agresti & Caffo 2000), so that recalls of 0 and 1 have some too.

    Args:
        target: [n] class indices.
        predicted: [n] class indices.
        unit: [n] who a case belongs to.
    """
    present = np.unique(target)
    people = np.array([len(np.unique(unit[target == k])) for k in present])
    shares = np.array([recall(target, predicted, k) for k in present])
    smooth = (shares * people + 1) / (people + 2)
    half = norm.isf(0.025) * np.sqrt((smooth * (1 - smooth) / people).sum()) / len(present)
    return max(float(shares.mean() - half), 0.0), min(float(shares.mean() + half), 1.0)


def activation_facts(
    target: np.ndarray, activations: np.ndarray, silent: np.ndarray
) -> dict[str, Any]:
    """How long class capsules are: the longest of all and of each, what they are without input.

    Args:
        target: [n] class indices.
        activations: [n, classes], 0 to 1.
        silent: [classes] what the capsules answer to no input.

    Returns:
        ``longest``, ``largest`` and ``silent`` (one a class), and histograms of right (``own``)
        and ``other`` classes.
    """
    own = np.zeros(activations.shape, bool)
    own[np.arange(len(target)), target] = True
    return {
        "longest": float(activations.max()),
        "largest": activations.max(axis=0).tolist(),
        "silent": silent.tolist(),
        "own": np.histogram(np.clip(activations[own], 0, 1), EDGES)[0].tolist(),
        "other": np.histogram(np.clip(activations[~own], 0, 1), EDGES)[0].tolist(),
    }


def spread(probabilities: np.ndarray) -> float:
    """Largest standard deviation over cases of a class's probability; 0: all outputs are equal."""
    return float(probabilities.std(axis=0).max())


def _area(target: np.ndarray, values: np.ndarray, unit: np.ndarray) -> dict[str, float] | None:
    ranked = [1] if values.shape[1] == 2 else range(values.shape[1])
    areas, limits = [], []
    if not np.isfinite(values).all():
        return None
    for k in ranked:
        positive = target == k
        if not positive.any() or positive.all():
            continue
        area = min(auc(positive, values[:, k]), 1.0)
        counts = len(np.unique(unit[positive])), len(np.unique(unit[~positive]))
        areas.append(area)
        limits.append(newcombe(area, *counts))
    if not areas:
        return None
    low, high = np.mean(limits, axis=0)
    return {"value": float(np.mean(areas)), "low": float(low), "high": float(high)}
