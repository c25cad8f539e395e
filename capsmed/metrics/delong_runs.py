"""DeLong's intervals of a model with several runs, and of the difference of two models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from capsmed.metrics.delong import Areas, areas, difference_interval, logit_interval
from capsmed.metrics.sample import samples_of
from capsmed.metrics.units import Units


def interval_of_runs(
    predictions: pd.DataFrame,
    units: Units,
    classes: tuple[str, ...],
    positive: str,
    confidence: float,
    against_rest: bool = False,
) -> dict[str, Any] | None:
    """Interval of the mean over runs (repeat, seed) of the pooled AUC.

    Args:
        predictions: rows of one model.
        units: of its cases.
        classes: in class order.
        positive: the class whose probability is ranked.
        confidence: for instance 0.95.
        against_rest: of more than two classes, the AUC of ``positive`` against all others.

    Returns:
        ``low``, ``high``, ``error`` (of the AUC itself) and ``method``; None where there is no such
        interval: other than two classes (unless ``against_rest``), runs of different cases, or no
        error.
    """
    if len(classes) != 2 and not against_rest:
        return None
    found = _areas([predictions], units, classes, positive)
    if found is None:
        return None
    value, error = found[0].contrast(_mean(found[1][0]))
    limits = logit_interval(value, error, confidence, found[0].degrees)
    if limits is None:
        return None
    return {"low": limits[0], "high": limits[1], "error": error, "method": _method(found[0], units)}


def difference_of_runs(
    first: pd.DataFrame,
    second: pd.DataFrame,
    units: Units,
    classes: tuple[str, ...],
    positive: str,
    confidence: float,
) -> dict[str, Any] | None:
    """Interval of the difference of two models' mean AUCs, and the p value for no difference.

    Args:
        first: rows of one model.
        second: rows of another on the same cases.
        units: of these cases.
        classes: in class order.
        positive: the class whose probability is ranked.
        confidence: for instance 0.95.

    Returns:
        ``low``, ``high``, ``p`` (two-sided), ``error`` and ``method``, or None, as for one model.
    """
    if len(classes) != 2:
        return None
    found = _areas([first, second], units, classes, positive)
    if found is None:
        return None
    ours, theirs = found[1]
    value, error = found[0].contrast(np.concatenate([_mean(ours), -_mean(theirs)]))
    limits = difference_interval(value, error, confidence, found[0].degrees)
    if limits is None:
        return None
    low, high, p = limits
    method = f"paired {_method(found[0], units).removesuffix(' on the logit scale')}"
    return {"low": low, "high": high, "p": p, "error": error, "method": method}


def _areas(
    tables: Sequence[pd.DataFrame], units: Units, classes: tuple[str, ...], positive: str
) -> tuple[Areas, list[int]] | None:
    """AUCs of every run of every model, and how many runs each model has."""
    column = list(classes).index(positive)
    listed, counts = [], []
    for table in tables:
        runs = samples_of(table.sort_values("case_id"), units.index, classes, positive)
        listed += runs
        counts.append(len(runs))
    first = listed[0]
    alike = all(
        np.array_equal(run.unit, first.unit) and np.array_equal(run.target, first.target)
        for run in listed
    )
    truth = first.target == column
    if not alike or truth.all() or not truth.any():
        return None
    scores = np.stack([run.probabilities[:, column] for run in listed], axis=1)
    return areas(truth, scores, first.unit), counts


def _mean(count: int) -> np.ndarray:
    return np.full(count, 1 / count)


def _method(found: Areas, units: Units) -> str:
    kind = "DeLong" if np.isinf(found.degrees) else "clustered DeLong (Obuchowski)"
    return f"{kind} {units.described} on the logit scale"
