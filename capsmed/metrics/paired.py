"""Differences of two models on the same cases, resampled together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from capsmed.metrics.delong_runs import difference_of_runs
from capsmed.metrics.estimate import Estimate, difference
from capsmed.metrics.runs import Plan, interval, measure
from capsmed.metrics.units import Units, units_of


def auc_difference(
    first: pd.DataFrame,
    second: pd.DataFrame,
    cohort: pd.DataFrame,
    classes: tuple[str, ...],
    positive: str,
    confidence: float = 0.95,
    bootstrap: int = 2000,
    seed: int = 0,
) -> dict[str, Any]:
    """AUC of the first model minus that of the second on the cases that both predicted.

    Each is the mean over its runs (repeat, seed), of which there may be several; patients are
    resampled with all runs of both models together. Arguments as for `summarise`.

    Returns:
        ``value``, ``low``, ``high``, ``method`` and ``n_cases``; and ``delong``, the same interval
        without resampling with its ``p``, or None (`difference_of_runs`).

    Raises:
        ValueError: as `summarise`.
    """
    plan = Plan.of(classes, positive, confidence, bootstrap, seed)
    return paired(first, second, cohort, plan)


def paired(
    first: pd.DataFrame, second: pd.DataFrame, cohort: pd.DataFrame, plan: Plan
) -> dict[str, Any]:
    """`auc_difference` by a plan."""
    shared = set(first["case_id"]) & set(second["case_id"])
    first = first[first["case_id"].isin(shared)]
    second = second[second["case_id"].isin(shared)]
    if not shared:
        undefined = {"value": None, "low": None, "high": None, "delong": None}
        return {**undefined, "method": "undefined: no shared case"}
    units = units_of(first, cohort)
    ours, theirs = (measure(rows, units, plan)[0] for rows in (first, second))
    return {
        **gap("auc", ours, theirs, units, plan),
        "n_cases": len(shared),
        "delong": delong_of(first, second, units, plan),
    }


def gap(
    name: str, first: dict[str, Estimate], second: dict[str, Estimate], units: Units, plan: Plan
) -> dict[str, Any]:
    """A metric of one model minus that of another, both measured over the same units."""
    ours, theirs = first[name], second[name]
    alike = np.array_equal(ours.replicates, theirs.replicates, equal_nan=True)
    if alike and 0 < ours.value < 1:  # two perfect models may still differ
        return {"value": 0.0, "low": 0.0, "high": 0.0, "method": "alike in every resample"}
    entry = interval(name, difference(ours, theirs), units, plan)
    resampled = "bootstrap" in entry["method"]
    method = f"paired {entry['method']}" if resampled else f"unpaired, from {entry['method']}s"
    return {**entry, "method": method}


def delong_of(
    first: pd.DataFrame, second: pd.DataFrame, units: Units, plan: Plan
) -> dict[str, Any] | None:
    """`difference_of_runs` by a plan."""
    label = plan.classes[plan.positive]
    return difference_of_runs(first, second, units, plan.classes, label, plan.confidence)
