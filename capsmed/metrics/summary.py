"""The content of metrics.json: every metric with its interval, by run, by fold, overall."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from capsmed.metrics.delong_runs import difference_of_runs, interval_of_runs
from capsmed.metrics.estimate import Estimate, average, difference, resample
from capsmed.metrics.intervals import bca, percentile
from capsmed.metrics.sample import estimates, sample_of
from capsmed.metrics.tables import BASELINES
from capsmed.metrics.units import Units, units_of

#: Below this many patients a bootstrap has too few distinct resamples; score intervals are used.
FEWEST_FOR_BOOTSTRAP = 20
_SHARES = ("accuracy", "error", "sensitivity", "specificity")
_RUN = ["repeat", "seed"]


@dataclass(frozen=True)
class Plan:
    """How values and intervals are made: the same for the model and its baselines."""

    classes: tuple[str, ...]
    positive: int
    confidence: float
    bootstrap: int
    seed: int


def summarise(
    predictions: pd.DataFrame,
    cohort: pd.DataFrame,
    classes: tuple[str, ...],
    positive: str,
    confidence: float = 0.95,
    bootstrap: int = 2000,
    seed: int = 0,
) -> dict[str, Any]:
    """Metrics of one model with intervals: the "model" entry of metrics.json.

    The value is the mean over (repeat, seed) of the metric on the pooled out-of-fold
    predictions. Each of its intervals names its method; see docs/reference/metrics.md. The AUC has
    a second one without resampling, ``auc_delong``, or None (`interval_of_runs`).

    Args:
        predictions: rows of one model: repeat, seed, fold, case_id, label, prob_<class>..., and
            optionally threshold (of the positive class's probability, chosen within the fold).
        cohort: the run's cohort.csv: case_id and patient ('' where unknown).
        classes: class order.
        positive: the class whose probability AUC ranks.
        confidence: for instance 0.95.
        bootstrap: number of resamples.
        seed: of the resampling.

    Raises:
        ValueError: no rows, more than one model, an unknown label, class or case, a probability
            that is not finite.
    """
    plan = _plan(classes, positive, confidence, bootstrap, seed)
    units = units_of(predictions, cohort)
    overall, runs = _runs(predictions, units, plan)
    names = predictions["model"].unique() if "model" in predictions else []
    if len(names) > 1:
        raise ValueError(f"summarise: expected one model, got {list(names)}")
    per_seed = [_entry(rows, run, units, plan, _RUN) for rows, run in runs]
    return {
        **_counts(predictions, units),
        **({"name": str(names[0])} if len(names) else {}),
        **_metrics(overall, units, plan),
        "auc_delong": interval_of_runs(predictions, units, plan.classes, positive, confidence),
        "per_seed": per_seed,
        "per_fold": _per_fold(runs, per_seed, units, plan),
    }


def metrics_json(
    predictions: pd.DataFrame,
    cohort: pd.DataFrame,
    classes: tuple[str, ...],
    positive: str,
    confidence: float = 0.95,
    bootstrap: int = 2000,
    seed: int = 0,
    note: str = "",
) -> dict[str, Any]:
    """The whole of metrics.json, the network and its baselines; null where a value is undefined.

    Each baseline also carries ``auc_difference``: network minus baseline on the cases that both
    predicted, resampled together.

    Raises:
        ValueError: as `summarise`; or not exactly one model beside the baselines.
    """
    tables = dict(list(predictions.groupby("model", sort=False)))
    models = [name for name in tables if name not in BASELINES]
    if len(models) != 1:
        raise ValueError(f"predictions: expected one model and its baselines, got {list(tables)}")
    settings = (tuple(classes), positive, confidence, bootstrap, seed)
    model, plan = tables[models[0]], _plan(*settings)
    entry = summarise(model, cohort, *settings)
    baselines = {
        name: summarise(tables[name], cohort, *settings)
        | {"auc_difference": _paired(model, tables[name], cohort, plan)}
        for name in BASELINES
        if name in tables
    }
    return {
        "schema_version": 1,
        "classes": list(classes),
        "positive": positive,
        "note": note,
        "confidence": confidence,
        "auc_definition": _definition(classes, positive),
        "n_cases": entry["n_cases"],
        "n_patients": entry["n_patients"],
        "model": entry,
        "baselines": baselines,
    }


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
    return _paired(first, second, cohort, _plan(classes, positive, confidence, bootstrap, seed))


def _plan(
    classes: tuple[str, ...], positive: str, confidence: float, bootstrap: int, seed: int
) -> Plan:
    if len(classes) == 2 and positive not in classes:
        raise ValueError(f"positive: expected one of {list(classes)}, got {positive!r}")
    index = list(classes).index(positive) if positive in classes else 0
    return Plan(tuple(classes), index, confidence, bootstrap, seed)


def _definition(classes: tuple[str, ...], positive: str) -> str:
    if len(classes) == 2:
        return f"positive class {positive!r}"
    return f"mean of the {len(classes)} one-vs-rest areas"


def _runs(
    predictions: pd.DataFrame, units: Units, plan: Plan
) -> tuple[dict[str, Estimate], list[tuple[pd.DataFrame, dict[str, Estimate]]]]:
    weights = resample(units.count, plan.bootstrap, np.random.default_rng(plan.seed))
    runs = []
    for _, rows in predictions.groupby(_RUN):
        sample = sample_of(rows, units.index, plan.classes, plan.positive)
        runs.append((rows, estimates(sample, plan.positive, weights, plan.confidence)))
    overall = {name: average([run[name] for _, run in runs]) for name in runs[0][1]}
    return overall, runs


def _per_fold(
    runs: list[tuple[pd.DataFrame, dict[str, Estimate]]],
    per_seed: list[dict[str, Any]],
    units: Units,
    plan: Plan,
) -> list[dict[str, Any]]:
    result = []
    for (rows, _), whole in zip(runs, per_seed, strict=True):
        folds = list(rows.groupby("fold"))
        for fold, part in folds:
            if len(folds) == 1:
                result.append({**whole, "fold": int(fold)})
                continue
            own = units.within(part)
            found, _ = _runs(part, own, plan)
            result.append(_entry(part, found, own, plan, [*_RUN, "fold"]))
    return result


def _entry(
    rows: pd.DataFrame, found: dict[str, Estimate], units: Units, plan: Plan, keys: list[str]
) -> dict[str, Any]:
    place = {key: int(rows[key].iloc[0]) for key in keys}
    return {**place, **_counts(rows, units), **_metrics(found, units.within(rows), plan)}


def _counts(rows: pd.DataFrame, units: Units) -> dict[str, int | None]:
    known = units.within(rows).count if units.patients_known else None
    return {"n_cases": int(rows["case_id"].nunique()), "n_patients": known}


def _metrics(found: dict[str, Estimate], units: Units, plan: Plan) -> dict[str, Any]:
    return {name: _interval(name, estimate, units, plan) for name, estimate in found.items()}


def _interval(name: str, estimate: Estimate, units: Units, plan: Plan) -> dict[str, Any]:
    if not np.isfinite(estimate.value):
        return {"value": None, "low": None, "high": None, "method": "undefined: a class is absent"}
    finite = np.isfinite(estimate.replicates)
    closed = name in _SHARES and not units.patients_known
    small = units.count < FEWEST_FOR_BOOTSTRAP or finite.mean() < 0.5
    if closed or small or np.ptp(estimate.replicates[finite]) < 1e-12:
        kind = "Newcombe" if name.startswith("auc") else "Wilson"
        (low, high), method = estimate.bounds, f"{kind} score interval {units.described}"
    else:
        limits = bca(estimate.value, estimate.replicates, estimate.influence, plan.confidence)
        kind = "BCa" if limits else "percentile"
        low, high = limits or percentile(estimate.replicates, plan.confidence)
        method = f"{kind} bootstrap {units.described}, {plan.bootstrap} resamples"
    return {"value": estimate.value, "low": low, "high": high, "method": method}


def _paired(
    model: pd.DataFrame, baseline: pd.DataFrame, cohort: pd.DataFrame, plan: Plan
) -> dict[str, Any]:
    shared = set(model["case_id"]) & set(baseline["case_id"])
    model = model[model["case_id"].isin(shared)]
    baseline = baseline[baseline["case_id"].isin(shared)]
    if not shared:
        undefined = {"value": None, "low": None, "high": None, "delong": None}
        return {**undefined, "method": "undefined: no shared case"}
    units = units_of(model, cohort)
    first, second = (_runs(rows, units, plan)[0]["auc"] for rows in (model, baseline))
    result = _interval("auc", difference(first, second), units, plan)
    resampled = "bootstrap" in result["method"]
    method = f"paired {result['method']}" if resampled else f"unpaired, from {result['method']}s"
    label = plan.classes[plan.positive]
    delong = difference_of_runs(model, baseline, units, plan.classes, label, plan.confidence)
    return {**result, "method": method, "n_cases": len(shared), "delong": delong}
