"""Several models on the same cases: each with its metrics, and pair by pair their differences."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import pandas as pd

from capsmed.metrics.decisions import decisions_compared, holm
from capsmed.metrics.estimate import Estimate
from capsmed.metrics.paired import delong_of, gap
from capsmed.metrics.runs import Plan, measure
from capsmed.metrics.summary import summarise
from capsmed.metrics.units import Units, units_of

#: Metrics whose differences are told.
DIFFERENCES = ("auc", "accuracy", "balanced_accuracy")


def compare(
    models: Mapping[str, pd.DataFrame],
    cohort: pd.DataFrame,
    classes: tuple[str, ...],
    positive: str,
    confidence: float = 0.95,
    bootstrap: int = 2000,
    seed: int = 0,
    all_pairs: bool = False,
) -> dict[str, Any]:
    """Compare models that predict the same cases: the first with each other one.

    Patients are resampled with all runs of both models of a pair together. Each pair has the
    differences (first minus second) of `DIFFERENCES`, that of the AUC with DeLong's interval and p,
    and ``decisions``, the cases in which only one model is right. P values are also given adjusted
    for the number of pairs, by Holm's method.

    Args:
        models: the rows of each model's predictions by name, at least two.
        cohort: case_id and patient ('' where unknown) of all cases.
        classes: class order.
        positive: the class whose probability AUC ranks.
        confidence: for instance 0.95.
        bootstrap: number of resamples.
        seed: of the resampling.
        all_pairs: compare every pair instead.

    Returns:
        ``models`` (`summarise` of each, by name), ``pairs``, ``correction`` in words, and what the
        numbers rest on.

    Raises:
        ValueError: fewer than two models, or as `summarise`.
    """
    if len(models) < 2:
        raise ValueError(f"compare: expected two models or more, got {list(models)}")
    plan = Plan.of(classes, positive, confidence, bootstrap, seed)
    settings = (plan.classes, positive, confidence, bootstrap, seed)
    names = list(models)
    units = units_of(models[names[0]], cohort)
    found = {name: measure(rows, units, plan)[0] for name, rows in models.items()}
    pairs: list[dict[str, Any]] = []
    for first, second in itertools.combinations(names, 2):
        if all_pairs or first == names[0]:
            estimates, rows = (found[first], found[second]), (models[first], models[second])
            told = {"first": first, "second": second}
            pairs.append({**told, **_pair(estimates, rows, units, plan)})
    for pair, area, decided in zip(
        pairs,
        holm([(pair["auc"]["delong"] or {}).get("p") for pair in pairs]),
        holm([(pair["decisions"] or {}).get("p") for pair in pairs]),
        strict=True,
    ):
        pair["p_adjusted"] = {"auc": area, "decisions": decided}
    entries = {name: summarise(rows, cohort, *settings) for name, rows in models.items()}
    return {
        "schema_version": 1,
        "classes": list(plan.classes),
        "positive": positive,
        "confidence": confidence,
        "n_cases": entries[names[0]]["n_cases"],
        "n_patients": entries[names[0]]["n_patients"],
        "models": entries,
        "pairs": pairs,
        "correction": f"Holm, {len(pairs)} comparison{'s' if len(pairs) > 1 else ''}",
    }


def _pair(
    found: tuple[dict[str, Estimate], dict[str, Estimate]],
    rows: tuple[pd.DataFrame, pd.DataFrame],
    units: Units,
    plan: Plan,
) -> dict[str, Any]:
    gaps = {name: gap(name, *found, units, plan) for name in DIFFERENCES}
    gaps["auc"]["delong"] = delong_of(*rows, units, plan)
    return {**gaps, "decisions": decisions_compared(*rows, units, plan)}
