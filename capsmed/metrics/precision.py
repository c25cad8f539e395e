"""Average precision, with the replicates and influence values that its interval needs."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from capsmed.metrics.estimate import Estimate, absent

_NUMBERS = 10_000_000  # in a block of resamples


def average_precision(
    positive: np.ndarray, score: np.ndarray, unit: np.ndarray, weights: np.ndarray
) -> Estimate:
    r"""Area under the precision-recall curve, without interpolation.

    .. math:: AP = \sum_t (R_t - R_{t-1}) P_t

    over the thresholds t from the highest score down; tied scores make one step. It depends on how
    frequent the positive class is, whose share a worthless score reaches.

    Args:
        positive: [rows] true where the row is of the positive class.
        score: [rows], higher for more positive.
        unit: [rows] index of the unit that owns the row.
        weights: [units, resamples] of `resample`.
    """
    positive = np.asarray(positive, bool)
    if positive.all() or not positive.any():
        return absent(weights)
    # Negatives between two positives count from the lower one on: they share its step.
    score = -np.asarray(score, float)
    levels = np.append(np.unique(score[positive]), np.inf)
    level = np.searchsorted(levels, score)
    shape = (len(levels), len(weights))
    gathered = [
        sparse.csr_array((np.ones(int(rows.sum()), np.float32), (level[rows], unit[rows])), shape)
        for rows in (positive, ~positive)
    ]
    true, false = (np.asarray(steps.sum(1), float)[:, None] for steps in gathered)
    value = float(_area(true, false)[0])
    blocks = np.array_split(weights, -(-weights.shape[1] * len(levels) // _NUMBERS), axis=1)
    replicates = [_area(*(steps @ block for steps in gathered)) for block in blocks]
    influence = _influence(true[:, 0], false[:, 0], level, positive, value)
    return Estimate(
        value,
        np.concatenate(replicates),
        np.bincount(unit, influence, len(weights)),
        (np.nan, np.nan),
    )


def _area(true: np.ndarray, false: np.ndarray) -> np.ndarray:
    """From the counts at each threshold, highest score first; [columns]."""
    found = np.cumsum(true, 0)
    called = found + np.cumsum(false, 0)
    precision = np.divide(found, called, out=np.zeros(found.shape, found.dtype), where=called > 0)
    gained = np.einsum("tc,tc->c", true, precision, dtype=float)
    total = true.sum(0, dtype=float)
    enough = (total > 0) & (false.sum(0) > 0)
    return np.divide(gained, total, out=np.full(len(total), np.nan), where=enough)


def _influence(
    true: np.ndarray, false: np.ndarray, level: np.ndarray, positive: np.ndarray, value: float
) -> np.ndarray:
    """Derivative of the area by each row's weight.

    A row's own step gains precision, if it is positive; and the precision of every step at its
    score or below changes.
    """
    found, missed = np.cumsum(true), np.cumsum(false)
    called = found + missed
    below = [np.cumsum((true * part / called**2)[::-1])[::-1] for part in (missed, found)]
    own = (found / called)[level] - value + below[0][level]
    return np.where(positive, own, -below[1][level]) / true.sum()
