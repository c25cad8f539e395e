"""How well one network does on one part of its cohort, in the numbers a diagnosis needs."""

from __future__ import annotations

from typing import Any

import numpy as np

from capsmed.metrics.intervals import newcombe
from capsmed.metrics.scores import accuracy, auc, balanced_accuracy

EDGES = np.linspace(0, 1, 21)  # of the histogram of class capsules' activations


def part_facts(target: np.ndarray, probabilities: np.ndarray, unit: np.ndarray) -> dict[str, Any]:
    """AUC with its closed-form interval, accuracies and counts.

    Args:
        target: [n] class indices, at least one case.
        probabilities: [n, classes].
        unit: [n] who a case belongs to; the interval is over patients, not over their cases.

    Returns:
        ``cases``, ``classes``, ``accuracy``, ``balanced_accuracy``, and ``auc`` with ``value``,
        ``low`` and ``high``, or None where a class is absent. More than two classes: the mean of
        the one-vs-rest areas and of their limits, which is never too narrow.
    """
    predicted = probabilities.argmax(axis=1)
    return {
        "cases": len(target),
        "classes": probabilities.shape[1],
        "accuracy": accuracy(target, predicted),
        "balanced_accuracy": balanced_accuracy(target, predicted),
        "auc": _area(target, probabilities, unit),
    }


def activation_facts(target: np.ndarray, activations: np.ndarray) -> dict[str, Any]:
    """How long class capsules are: the longest of all, and histograms of right and other classes.

    Args:
        target: [n] class indices.
        activations: [n, classes], 0 to 1.
    """
    own = np.zeros(activations.shape, bool)
    own[np.arange(len(target)), target] = True
    return {
        "longest": float(activations.max()),
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
