"""What the decisions are worth beside accuracy: predictive values, F1, Matthews' correlation."""

from __future__ import annotations

import numpy as np

from capsmed.metrics.estimate import Estimate, average, of_sums, proportion, sum_by
from capsmed.metrics.sample import Sample


def decision_estimates(
    sample: Sample, positive: int, weights: np.ndarray, confidence: float
) -> dict[str, Estimate]:
    """Scores of the predicted classes of one run.

    Predictive values are of two classes only. F1 is that of the positive class; with more classes,
    the mean over the classes that occur (macro). Matthews' correlation is Gorodkin's (2004,
    Computational Biology and Chemistry 28:367) for more than two.

    Args:
        sample: the run.
        positive: index of the positive class.
        weights: [units, resamples] of `resample`.
        confidence: of the closed-form intervals.
    """
    unit, target, predicted = sample.unit, sample.target, sample.predicted
    n_classes = sample.probabilities.shape[1]
    right = target == predicted
    found: dict[str, Estimate] = {}
    if n_classes == 2:
        for name, label in (("ppv", positive), ("npv", 1 - positive)):
            called = predicted == label
            found[name] = proportion(right[called], unit[called], weights, confidence)
    of_interest = [positive] if n_classes == 2 else np.unique(target)
    found["f1"] = average([f1(sample, label, weights) for label in of_interest])
    kinds = np.arange(n_classes)
    columns = np.hstack([right[:, None], target[:, None] == kinds, predicted[:, None] == kinds])
    found["mcc"] = of_sums(_correlation, sum_by(unit, columns, len(weights)), weights)
    return found


def f1(sample: Sample, label: int, weights: np.ndarray) -> Estimate:
    """Harmonic mean of sensitivity and predictive value of the class ``label``."""
    true, called = sample.target == label, sample.predicted == label
    columns = np.stack([true & called, true, called], axis=1)
    return of_sums(_overlap, sum_by(sample.unit, columns, len(weights)), weights)


def _overlap(sums: np.ndarray) -> np.ndarray:
    both, true, called = sums
    return _divided(2 * both, true + called)


def _correlation(sums: np.ndarray) -> np.ndarray:
    right, (true, called) = sums[0], np.split(sums[1:], 2)
    cases = true.sum(0)
    within = (cases**2 - (true**2).sum(0)) * (cases**2 - (called**2).sum(0))
    # all of one class, or all called so: no correlation can be seen
    return _divided(right * cases - (true * called).sum(0), np.sqrt(np.maximum(within, 0)), 0.0)


def _divided(above: np.ndarray, below: np.ndarray, otherwise: float = np.nan) -> np.ndarray:
    return np.divide(above, below, out=np.full(np.shape(above), otherwise), where=below > 0)
