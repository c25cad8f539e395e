"""All that is measured of a run as a whole."""

from __future__ import annotations

import numpy as np

from capsmed.metrics.calibration import calibration_estimates
from capsmed.metrics.decided import decision_estimates
from capsmed.metrics.estimate import Estimate, average
from capsmed.metrics.precision import average_precision
from capsmed.metrics.sample import Sample, estimates


def all_estimates(
    sample: Sample, positive: int, weights: np.ndarray, confidence: float
) -> dict[str, Estimate]:
    """`estimates`, average precision, and the scores of decisions and of probabilities.

    With more than two classes average precision is its mean over them, each against the rest.

    Args:
        sample: the run.
        positive: index of the positive class.
        weights: [units, resamples] of `resample`.
        confidence: of the closed-form intervals.
    """
    target, shares = sample.target, sample.probabilities
    ranked = [positive] if shares.shape[1] == 2 else range(shares.shape[1])
    precisions = [
        average_precision(target == k, shares[:, k], sample.unit, weights) for k in ranked
    ]
    return {
        **estimates(sample, positive, weights, confidence),
        "average_precision": average(precisions),
        **decision_estimates(sample, positive, weights, confidence),
        **calibration_estimates(sample, positive, weights),
    }
