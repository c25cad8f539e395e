"""Curves over thresholds and probabilities: precision-recall, reliability, net benefit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import precision_recall_curve

from capsmed.metrics.calibration import BINS, FEWEST
from capsmed.metrics.intervals import wilson
from capsmed.metrics.sample import Sample

RECALLS = np.linspace(0, 1, 401)
THRESHOLDS = np.linspace(0.01, 0.99, 99)


@dataclass(frozen=True)
class Reliability:
    """Bins of equally many cases: what was said, and what was so.

    Attributes:
        said: [bins] mean probability.
        found: [bins] share of positive cases.
        low: [bins] lower limit of that share (Wilson, by case).
        high: [bins] upper limit.
        cases: [bins] number of cases.
    """

    said: np.ndarray
    found: np.ndarray
    low: np.ndarray
    high: np.ndarray
    cases: np.ndarray


def precision_recall(samples: Sequence[Sample], positive: int) -> np.ndarray | None:
    """Precision at `RECALLS`, the mean over runs; None where a class is absent.

    Between two thresholds it is that of the lower one, as in the average precision.
    """
    curves = []
    for sample in samples:
        truth = sample.target == positive
        if truth.all() or not truth.any():
            continue
        precision, recall, _ = precision_recall_curve(truth, sample.probabilities[:, positive])
        rising = recall[::-1]  # from the highest threshold: recall 0, precision 1
        place = np.searchsorted(rising, RECALLS - 1e-12)
        curves.append(precision[::-1][np.minimum(place, len(rising) - 1)])
    return np.mean(curves, axis=0) if curves else None


def reliability(samples: Sequence[Sample], positive: int, confidence: float = 0.95) -> Reliability:
    """The cases of all runs in bins of equally many, by the probability of the positive class.

    A case that several runs predict counts in each of them, but once in the intervals.
    """
    share = np.concatenate([sample.probabilities[:, positive] for sample in samples])
    truth = np.concatenate([sample.target == positive for sample in samples])
    order = np.argsort(share, kind="stable")
    cases = len(order) // len(samples)
    bins = np.array_split(order, max(1, min(BINS, cases // FEWEST)))
    found = np.array([truth[b].mean() for b in bins])
    counts = np.array([max(1, round(len(b) / len(samples))) for b in bins])
    limits = [wilson(f, int(n), confidence) for f, n in zip(found, counts, strict=True)]
    low, high = np.array(limits).T
    return Reliability(np.array([share[b].mean() for b in bins]), found, low, high, counts)


def net_benefit(samples: Sequence[Sample], positive: int) -> tuple[np.ndarray, np.ndarray]:
    r"""Net benefit of acting on the model at `THRESHOLDS`, and of acting on every case.

    .. math:: \frac{TP}{n} - \frac{FP}{n} \frac{p}{1 - p}

    Vickers & Elkin 2006 (Medical Decision Making 26:565), the mean over runs. It takes the
    probabilities at their word and the positive class as frequent as here.
    """
    odds = THRESHOLDS / (1 - THRESHOLDS)
    curves, every = [], []
    for sample in samples:
        truth, share = sample.target == positive, sample.probabilities[:, positive]
        called = share[:, None] >= THRESHOLDS
        true = (called & truth[:, None]).mean(0)
        curves.append(true - odds * (called.mean(0) - true))
        every.append(truth.mean() - odds * (1 - truth.mean()))
    return np.mean(curves, axis=0), np.mean(every, axis=0)
