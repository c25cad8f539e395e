"""More than two classes: each against the rest, their means, and all decisions in one pool."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from capsmed.metrics.decided import f1
from capsmed.metrics.delong_runs import interval_of_runs
from capsmed.metrics.estimate import Estimate, absent, area, average, proportion
from capsmed.metrics.precision import average_precision
from capsmed.metrics.runs import Plan, interval
from capsmed.metrics.sample import Sample
from capsmed.metrics.units import Units

#: What is told of a class against the rest, in the order of telling.
OF_A_CLASS = (
    "auc", "average_precision", "sensitivity", "specificity", "ppv", "npv", "f1",
)  # fmt: skip
#: Whose means over the classes that occur are told.
MACRO = ("auc", "average_precision", "sensitivity", "ppv", "f1")
_CLASS = "class "


def class_estimates(
    sample: Sample, weights: np.ndarray, confidence: float
) -> list[dict[str, Estimate]]:
    """`OF_A_CLASS` of each class against the rest, all absent where the class has no case.

    Args:
        sample: one run.
        weights: [units, resamples] of `resample`.
        confidence: of the closed-form intervals.
    """
    found = []
    for label in range(sample.probabilities.shape[1]):
        true, called = sample.target == label, sample.predicted == label
        if not true.any():
            found.append(dict.fromkeys(OF_A_CLASS, absent(weights)))
            continue

        def share(hit: np.ndarray, rows: np.ndarray, unit: np.ndarray = sample.unit) -> Estimate:
            return proportion(hit[rows], unit[rows], weights, confidence)

        score = sample.probabilities[:, label]
        found.append(
            {
                "auc": area(true, score, sample.unit, weights, confidence),
                "average_precision": average_precision(true, score, sample.unit, weights),
                "sensitivity": share(called, true),
                "specificity": share(~called, ~true),
                "ppv": share(true, called),
                "npv": share(~true, ~called),
                "f1": f1(sample, label, weights),
            }
        )
    return found


def grouped_estimates(
    sample: Sample,
    classes: list[dict[str, Estimate]],
    weights: np.ndarray,
    confidence: float,
) -> dict[str, Estimate]:
    """Of each class, macro and micro, by names with a dot that `grouped` takes apart.

    Macro is the mean over the classes that have a value. Micro takes every case once for each
    class, as a case of it or not, and ranks all of these by their probabilities; of decisions for
    one class a case it would say the accuracy, so it is of the rankings only.

    Args:
        sample: one run.
        classes: `class_estimates` of it.
        weights: [units, resamples] of `resample`.
        confidence: of the closed-form intervals.
    """
    shares = sample.probabilities
    pool = (
        (sample.target[:, None] == np.arange(shares.shape[1])).ravel(),
        shares.ravel(),
        np.repeat(sample.unit, shares.shape[1]),
    )
    return {
        **{
            f"{_CLASS}{label}.{name}": estimate
            for label, found in enumerate(classes)
            for name, estimate in found.items()
        },
        **{f"macro.{name}": average([found[name] for found in classes]) for name in MACRO},
        "micro.auc": area(*pool, weights, confidence),
        "micro.average_precision": average_precision(*pool, weights),
    }


def ungrouped(found: Mapping[str, Estimate]) -> dict[str, Estimate]:
    """Those that are of the run as a whole, not of a class, macro or micro."""
    return {name: estimate for name, estimate in found.items() if "." not in name}


def grouped(
    found: Mapping[str, Estimate], predictions: pd.DataFrame, units: Units, plan: Plan
) -> dict[str, Any]:
    """``one_vs_rest``, ``macro`` and ``micro`` of metrics.json; nothing for two classes.

    Where patients have several cases, a class's AUC has DeLong's interval with Obuchowski's
    variance, as `shown_intervals` gives it to that of two classes.

    Args:
        found: `grouped_estimates`, the mean over runs.
        predictions: rows of one model.
        units: of its cases.
        plan: how.
    """
    groups: dict[str, dict[str, Any]] = {}
    for key, estimate in found.items():
        group, dot, name = key.rpartition(".")
        if dot:
            groups.setdefault(group, {})[name] = interval(name, estimate, units, plan)
    if not groups:
        return {}
    labels = predictions.drop_duplicates("case_id")["label"].astype(str).value_counts()
    several = predictions["case_id"].nunique() > units.count
    by_class = {}
    for number, label in enumerate(plan.classes):
        entry, cases = groups[f"{_CLASS}{number}"], int(labels.get(label, 0))
        if not cases:
            entry = {name: {**e, "method": "undefined: no case of it"} for name, e in entry.items()}
        elif several:
            entry["auc"] |= _delong(predictions, units, label, plan)
        by_class[label] = {"n_cases": cases, **entry}
    return {"one_vs_rest": by_class, "macro": groups["macro"], "micro": groups["micro"]}


def _delong(predictions: pd.DataFrame, units: Units, label: str, plan: Plan) -> dict[str, Any]:
    found = interval_of_runs(
        predictions, units, plan.classes, label, plan.confidence, against_rest=True
    )
    return {key: found[key] for key in ("low", "high", "method")} if found else {}
