"""Variance of AUCs without resampling, and what follows: intervals and paired comparison."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit
from scipy.stats import t

from capsmed.metrics.scores import placements


@dataclass(frozen=True)
class Areas:
    """AUCs of several scores of the same cases.

    Attributes:
        values: [scores].
        covariance: [scores, scores]; NaN where a class has fewer than two units.
        degrees: degrees of freedom of that: infinite for one case a unit, as DeLong has it; else
            the units less one, since few patients of many cases leave the variance uncertain.
    """

    values: np.ndarray
    covariance: np.ndarray
    degrees: float

    def contrast(self, weights: np.ndarray) -> tuple[float, float]:
        """A weighted sum of the AUCs, such as a mean or a difference, and its standard error.

        Args:
            weights: [scores].
        """
        weights = np.asarray(weights, float)
        variance = weights @ self.covariance @ weights
        return float(weights @ self.values), float(np.sqrt(np.maximum(variance, 0)))


def areas(positive: np.ndarray, scores: np.ndarray, unit: np.ndarray) -> Areas:
    r"""AUCs and their covariance, for cases of which several may be of one patient.

    With :math:`V` the share of the other class that a case is ranked rightly against (ties half),
    :math:`p_u` the sum of :math:`V - A` over a unit's M positive cases divided by all positives,
    :math:`q_u` the same of its negative ones:

    .. math:: \mathrm{cov}(A, A') = \frac{I_+}{I_+ - 1} \sum_u p_u p'_u
        + \frac{I_-}{I_- - 1} \sum_u q_u q'_u
        + \frac{I}{I - 1} \sum_u (p_u q'_u + q_u p'_u)

    with :math:`I_+, I_-, I` the units that have positives, negatives, any. Obuchowski 1997
    (Biometrics 53:567); for one case a unit the last sum is zero and the rest is DeLong, DeLong and
    Clarke-Pearson 1988 (Biometrics 44:837).

    Args:
        positive: bool [cases].
        scores: [cases] or [cases, scores], higher for more positive.
        unit: [cases] number of the unit (patient or case) that a case is of.

    Raises:
        ValueError: a class has no case.
    """
    positive = np.asarray(positive, bool)
    columns = np.asarray(scores, float).reshape(len(positive), -1)
    if positive.all() or not positive.any():
        raise ValueError("areas: expected cases of both classes, got one")
    share = placements(positive, columns)
    values = share[positive].mean(0)
    parts, units = [], []
    for chosen in (positive, ~positive):
        owner = np.unique(unit[chosen])
        units.append(len(owner))
        summed = np.zeros((int(np.max(unit)) + 1, columns.shape[1]))
        np.add.at(summed, unit[chosen], (share[chosen] - values) / chosen.sum())
        parts.append(summed)
    ours, theirs = parts
    whole = len(np.unique(unit))
    crossed = ours.T @ theirs
    covariance = (
        _unbiased(units[0]) * ours.T @ ours
        + _unbiased(units[1]) * theirs.T @ theirs
        + _unbiased(whole) * (crossed + crossed.T)
    )
    return Areas(values, covariance, np.inf if whole == len(unit) else whole - 1.0)


def logit_interval(
    value: float, error: float, confidence: float = 0.95, degrees: float = np.inf
) -> tuple[float, float] | None:
    """Interval of an AUC that is symmetric on the scale of its log odds, so it stays below 1.

    At 50 cases and a true AUC of 0.95 it covers 94%, the interval that is symmetric on the scale of
    the AUC itself 84% (see tests/metrics/test_delong.py).

    Args:
        value: the AUC.
        error: its standard error.
        confidence: for instance 0.95.
        degrees: degrees of freedom of the standard error, see `Areas`.

    Returns:
        low and high, or None where there is none: an AUC of 0 or 1, or no error.
    """
    if not 0 < value < 1 or not error > 0:
        return None
    half = t.isf((1 - confidence) / 2, degrees) * error / (value * (1 - value))
    low, high = expit(logit(value) + np.array([-half, half]))
    return float(low), float(high)


def difference_interval(
    value: float, error: float, confidence: float = 0.95, degrees: float = np.inf
) -> tuple[float, float, float] | None:
    """Interval of a difference of two AUCs, and the p value for no difference.

    Args:
        value: the difference.
        error: its standard error.
        confidence: for instance 0.95.
        degrees: degrees of freedom of the standard error, see `Areas`.

    Returns:
        low, high and the two-sided p; None without an error, as for scores in the same order.
    """
    if not error > 0:
        return None
    half = t.isf((1 - confidence) / 2, degrees) * error
    p = 2 * t.sf(abs(value) / error, degrees)
    return float(max(value - half, -1)), float(min(value + half, 1)), float(p)


def _unbiased(units: int) -> float:
    return units / (units - 1) if units > 1 else np.nan
