"""ROC curves with a band from resampled patients, and confusion matrices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from capsmed.metrics.estimate import resample, score_steps
from capsmed.metrics.sample import Sample, samples_of
from capsmed.metrics.units import units_of

GRID = np.linspace(0, 1, 401)


@dataclass(frozen=True)
class Roc:
    """Sensitivity over `GRID` (1 - specificity), with pointwise limits."""

    sensitivity: np.ndarray
    low: np.ndarray
    high: np.ndarray


def roc(
    predictions: pd.DataFrame,
    cohort: pd.DataFrame,
    classes: tuple[str, ...],
    positive: str,
    confidence: float = 0.95,
    bootstrap: int = 500,
    seed: int = 0,
) -> Roc:
    """ROC curve of one model: the mean over runs, and over classes where there are more than two.

    The band is the pointwise percentile interval of the curve over resampled patients (cases
    where patients are unknown).

    Args:
        predictions: rows of one model, as `capsmed.metrics.summarise` takes them.
        cohort: the run's cohort.csv.
        classes: class order.
        positive: the positive class of two.
        confidence: of the band.
        bootstrap: number of resamples.
        seed: of the resampling.
    """
    units = units_of(predictions, cohort)
    rng = np.random.default_rng(seed)
    ones = np.ones((units.count, 1), np.float32)
    weights = np.hstack([ones, resample(units.count, bootstrap, rng)])
    samples = samples_of(predictions, units.index, classes, positive)
    ranked = [list(classes).index(positive)] if len(classes) == 2 else range(len(classes))
    curves = [
        _curves(sample.target == k, sample.probabilities[:, k], sample.unit, weights)
        for sample in samples
        for k in ranked
        if 0 < np.mean(sample.target == k) < 1
    ]
    if not curves:
        nothing = np.full(len(GRID), np.nan)
        return Roc(nothing, nothing, nothing)
    mean = np.mean(curves, axis=0)
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(mean[1:], [tail, 1 - tail], axis=0)
    return Roc(mean[0], low, high)


def confusion(
    predictions: pd.DataFrame, cohort: pd.DataFrame, classes: tuple[str, ...], positive: str
) -> tuple[np.ndarray, int]:
    """Counts [true class, predicted class], the mean over runs, and the number of runs."""
    index = units_of(predictions, cohort).index
    samples = samples_of(predictions, index, classes, positive)
    return np.mean([_counts(s, len(classes)) for s in samples], axis=0), len(samples)


def _counts(sample: Sample, n_classes: int) -> np.ndarray:
    cells = sample.target * n_classes + sample.predicted
    return np.bincount(cells, minlength=n_classes**2).reshape(n_classes, n_classes).astype(float)


def _curves(
    positive: np.ndarray, score: np.ndarray, unit: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Sensitivity at `GRID` for every column of weights; [columns, grid], NaN if undefined."""
    steps = score_steps(positive, score, unit, len(weights))
    size = max(1, 10_000_000 // steps[0].shape[0])
    result = []
    for block in np.array_split(weights, -(-weights.shape[1] // size), axis=1):
        true, false = (_rates(step @ block) for step in steps)
        result += [np.interp(GRID, f, t) for t, f in zip(true.T, false.T, strict=True)]
    return np.array(result)


def _rates(counts: np.ndarray) -> np.ndarray:
    """From counts per step, lowest score first, to the rate above each threshold, rising."""
    rising = np.cumsum(counts[::-1].astype(float), axis=0)
    total = np.where(rising[-1] > 0, rising[-1], np.nan)
    return np.vstack([np.zeros(counts.shape[1]), rising]) / total
