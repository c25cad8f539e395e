"""All that is measured of a run as a whole."""

from __future__ import annotations

import numpy as np

from capsmed.metrics.calibration import calibration_estimates
from capsmed.metrics.decided import decision_estimates
from capsmed.metrics.estimate import Estimate, average
from capsmed.metrics.one_vs_rest import class_estimates, grouped_estimates
from capsmed.metrics.precision import average_precision
from capsmed.metrics.sample import Sample, estimates


def all_estimates(
    sample: Sample, positive: int, weights: np.ndarray, confidence: float
) -> dict[str, Estimate]:
    """`estimates`, average precision, and the scores of decisions and of probabilities.

    With more than two classes average precision is its mean over them, each against the rest; and
    there is all that `grouped_estimates` gives.

    Args:
        sample: the run.
        positive: index of the positive class.
        weights: [units, resamples] of `resample`.
        confidence: of the closed-form intervals.
    """
    if sample.probabilities.shape[1] == 2:
        score = sample.probabilities[:, positive]
        ranked = average_precision(sample.target == positive, score, sample.unit, weights)
        found = estimates(sample, positive, weights, confidence) | {"average_precision": ranked}
        grouped = {}
    else:
        classes = class_estimates(sample, weights, confidence)
        areas, precisions = ([c[n] for c in classes] for n in ("auc", "average_precision"))
        found = estimates(sample, positive, weights, confidence, areas)
        found["average_precision"] = average(precisions)
        grouped = grouped_estimates(sample, classes, weights, confidence)
    return {
        **found,
        **decision_estimates(sample, positive, weights, confidence),
        **calibration_estimates(sample, positive, weights),
        **grouped,
    }
