"""Whether probabilities are what they say: proper scores, calibration slope and intercept, ECE."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from capsmed.metrics.estimate import Estimate, absent, of_sums, sum_by
from capsmed.metrics.sample import Sample

#: Probabilities are kept this far from 0 and 1 before a logarithm.
LEAST = 1e-7
#: Bins of the calibration error, and cases in each at least.
BINS, FEWEST = 10, 5
#: Intercept and slope to start a fit from: curved enough there to step from, whatever the scores.
FLAT = np.zeros((2, 1))
_NUMBERS = 4_000_000  # in a block of resamples
_STEEPEST = 100.0  # slope beyond which the classes are taken for separated


def calibration_estimates(
    sample: Sample, positive: int, weights: np.ndarray
) -> dict[str, Estimate]:
    r"""Scores of the probabilities of one run.

    ``brier``, the mean squared difference of probability and outcome (with more than two classes,
    summed over them); ``log_loss``, minus the mean logarithm of the true class's probability, in
    nats; and for two classes the fit of

    .. math:: \mathrm{logit}\, P(y = 1) = a + b\, \mathrm{logit}\, p:

    ``calibration_slope`` is b, below 1 where the probabilities are too extreme;
    ``calibration_intercept`` is a with b held at 1, above 0 where they are too low (Van Calster et
    al. 2019, BMC Medicine 17:230).

    Args:
        sample: the run.
        positive: index of the positive class.
        weights: [units, resamples] of `resample`.
    """
    shares, rows = sample.probabilities, np.arange(len(sample.target))
    n_classes = shares.shape[1]
    outcome = np.eye(n_classes)[sample.target]
    squares = ((shares - outcome) ** 2).sum(1) / (2 if n_classes == 2 else 1)
    surprise = -np.log(np.maximum(shares[rows, sample.target], LEAST))
    found = {
        name: _mean(values, sample.unit, weights)
        for name, values in (("brier", squares), ("log_loss", surprise))
    }
    if n_classes == 2:
        share = np.clip(shares[:, positive], LEAST, 1 - LEAST)
        told = (sample.target == positive, np.log(share / (1 - share)), sample.unit, weights)
        found |= {"calibration_slope": _slope(*told), "calibration_intercept": _intercept(*told)}
    return found


def calibration_error(sample: Sample, positive: int) -> float:
    """Expected calibration error over bins of equally many cases.

    The mean distance of a bin's mean probability from the share of positive cases in it; with more
    than two classes, of the largest probability from the share predicted rightly. It is never
    negative and so, on few cases, well above zero even for perfect probabilities.

    Args:
        sample: one run.
        positive: index of the positive class.
    """
    if sample.probabilities.shape[1] == 2:
        share, outcome = sample.probabilities[:, positive], sample.target == positive
    else:
        share = sample.probabilities.max(1)
        outcome = sample.probabilities.argmax(1) == sample.target
    order = np.argsort(share, kind="stable")
    bins = np.array_split(order, max(1, min(BINS, len(order) // FEWEST)))
    distances = [len(b) * abs(share[b].mean() - outcome[b].mean()) for b in bins]
    return float(np.sum(distances) / len(order))


def _mean(values: np.ndarray, unit: np.ndarray, weights: np.ndarray) -> Estimate:
    columns = np.stack([values, np.ones(len(values))], axis=1)
    return of_sums(lambda sums: sums[0] / sums[1], sum_by(unit, columns, len(weights)), weights)


def _slope(outcome: np.ndarray, x: np.ndarray, unit: np.ndarray, weights: np.ndarray) -> Estimate:
    start, curvature = logistic_fit(outcome, x, np.ones((len(x), 1)), FLAT)
    if not np.isfinite(start).all():
        return absent(weights)
    residual = outcome - expit(start[0] + start[1] * x)
    steps = np.linalg.solve(curvature, np.stack([residual, x * residual]))[1]
    replicates = [
        logistic_fit(outcome, x, block[unit], start)[0][1] for block in _blocks(weights, len(x))
    ]
    influence = np.bincount(unit, steps, len(weights))
    return Estimate(float(start[1, 0]), np.concatenate(replicates), influence, (np.nan, np.nan))


def _intercept(
    outcome: np.ndarray, x: np.ndarray, unit: np.ndarray, weights: np.ndarray
) -> Estimate:
    start, curvature = _shift(outcome, x, np.ones((len(x), 1)), np.zeros(1))
    if not np.isfinite(start).all():
        return absent(weights)
    steps = (outcome - expit(start + x)) / curvature
    replicates = [_shift(outcome, x, block[unit], start)[0] for block in _blocks(weights, len(x))]
    influence = np.bincount(unit, steps, len(weights))
    return Estimate(float(start[0]), np.concatenate(replicates), influence, (np.nan, np.nan))


def logistic_fit(
    outcome: np.ndarray, x: np.ndarray, weights: np.ndarray, start: np.ndarray, rounds: int = 30
) -> tuple[np.ndarray, np.ndarray]:
    """Logistic regression on one variable for every column of weights, by Newton's method.

    Args:
        outcome: [rows], 0 to 1.
        x: [rows] the variable.
        weights: [rows, columns].
        start: intercept and slope to start from, [2, 1].
        rounds: steps at most.

    Returns:
        Intercepts and slopes [2, columns], NaN where the classes are separated or one is absent;
        and the curvature [2, 2] of the last column.
    """
    a, b = (np.full(weights.shape[1], value, float) for value in start[:, 0])
    with np.errstate(all="ignore"):
        for _ in range(rounds):
            share = expit(a + x[:, None] * b)
            rest = weights * (outcome[:, None] - share)
            share *= (1 - share) * weights
            g0, g1 = rest.sum(0), x @ rest
            h0, h1, h2 = share.sum(0), x @ share, (x * x) @ share
            within = h0 * h2 - h1 * h1
            da, db = (h2 * g0 - h1 * g1) / within, (h0 * g1 - h1 * g0) / within
            size = np.maximum(1, np.abs(db) / 2)  # steps that leap too far are shortened
            a, b = a + da / size, b + db / size
            if not np.nanmax(np.abs([da, db]), initial=0) > 1e-7:
                break
    settled = (np.abs(da) < 1e-4) & (np.abs(db) < 1e-4) & (np.abs(b) < _STEEPEST)
    return np.where(settled, [a, b], np.nan), np.array([[h0[-1], h1[-1]], [h1[-1], h2[-1]]])


def _shift(
    outcome: np.ndarray, x: np.ndarray, weights: np.ndarray, start: np.ndarray, rounds: int = 50
) -> tuple[np.ndarray, float]:
    """`logistic_fit` with the slope held at 1: intercepts [columns], the last one's curvature."""
    a = np.full(weights.shape[1], start[0], float)
    with np.errstate(all="ignore"):
        for _ in range(rounds):
            share = expit(a + x[:, None])
            slope = (weights * (outcome[:, None] - share)).sum(0)
            curvature = (weights * share * (1 - share)).sum(0)
            step = np.clip(slope / curvature, -2, 2)
            a = a + step
            if not np.nanmax(np.abs(step), initial=0) > 1e-7:
                break
    return np.where(np.abs(step) < 1e-4, a, np.nan), float(curvature[-1])


def _blocks(weights: np.ndarray, rows: int) -> list[np.ndarray]:
    return np.array_split(weights, -(-weights.shape[1] * rows // _NUMBERS), axis=1)
