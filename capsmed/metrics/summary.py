"""The content of metrics.json: every metric with its interval, by run, by fold, overall."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from capsmed.metrics.calibration import calibration_error
from capsmed.metrics.chosen_inside import operating_points, recalibrated
from capsmed.metrics.estimate import Estimate
from capsmed.metrics.measures import all_estimates
from capsmed.metrics.one_vs_rest import grouped, ungrouped
from capsmed.metrics.paired import paired
from capsmed.metrics.patient_level import RULE, of_patients
from capsmed.metrics.runs import RUN, Plan, Run, measure, shown_intervals
from capsmed.metrics.sample import samples_of
from capsmed.metrics.subgroups import subgroups
from capsmed.metrics.tables import baselines_of
from capsmed.metrics.units import Units, units_of


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
    plan = Plan.of(classes, positive, confidence, bootstrap, seed)
    names = predictions["model"].unique() if "model" in predictions else []
    if len(names) > 1:
        raise ValueError(f"summarise: expected one model, got {list(names)}")
    units = units_of(predictions, cohort)
    found, runs = _overall(predictions, units, plan)
    per_seed = [_entry(rows, ungrouped(run), units, plan, RUN) for rows, run in runs]
    per_fold = _per_fold(runs, per_seed, units, plan)
    patients = of_patients(predictions, cohort, plan.classes, positive)
    if patients is not None:
        rows, people = patients
        found["patient_level"] = {"rule": RULE, **_overall(rows, units_of(rows, people), plan)[0]}
    return {
        **_counts(predictions, units),
        **({"name": str(names[0])} if len(names) else {}),
        **found,
        "auc_mean_of_folds": _mean_of_folds(per_fold),
        "per_seed": per_seed,
        "per_fold": per_fold,
    }


def _overall(
    predictions: pd.DataFrame, units: Units, plan: Plan
) -> tuple[dict[str, Any], list[Run]]:
    """Every metric as the mean over runs with its interval, and the runs."""
    overall, runs = measure(predictions, units, plan, all_estimates)
    shown, delong = shown_intervals(ungrouped(overall), predictions, units, plan)
    return {
        **shown,
        "auc_delong": delong,
        "calibration_error": _calibration_error(predictions, units, plan),
        **grouped(overall, predictions, units, plan),
    }, runs


def _calibration_error(predictions: pd.DataFrame, units: Units, plan: Plan) -> dict[str, Any]:
    label = plan.classes[plan.positive]
    samples = samples_of(predictions, units.index, plan.classes, label)
    value = float(np.mean([calibration_error(sample, plan.positive) for sample in samples]))
    method = "no interval: resampling adds to it"
    return {"value": value, "low": None, "high": None, "method": method}


def _mean_of_folds(per_fold: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The mean of the folds' own AUCs, to stand beside the pooled one; None for a single fold."""
    values = [fold["auc"]["value"] for fold in per_fold]
    known = [value for value in values if value is not None]
    if not known or len({fold["fold"] for fold in per_fold}) < 2:
        return None
    return {
        "value": float(np.mean(known)),
        "folds": len(known),
        "undefined": len(values) - len(known),
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
    inner: pd.DataFrame | None = None,
    columns: Mapping[str, pd.Series] | None = None,
) -> dict[str, Any]:
    """The whole of metrics.json, the network and its baselines; null where a value is undefined.

    Each baseline also carries ``auc_difference``: network minus baseline on the cases that both
    predicted, resampled together. With the folds' ``inner`` predictions the network also has
    ``operating_points`` and ``recalibrated`` (`chosen_inside`), with ``columns`` of the table
    ``subgroups`` (`capsmed.metrics.subgroups`).

    Raises:
        ValueError: as `summarise`; or not exactly one model beside the baselines.
    """
    tables = dict(list(predictions.groupby("model", sort=False)))
    rivals = baselines_of(tables)
    models = [name for name in tables if name not in rivals]
    if len(models) != 1:
        raise ValueError(f"predictions: expected one model and its baselines, got {list(tables)}")
    settings = (tuple(classes), positive, confidence, bootstrap, seed)
    model, plan = tables[models[0]], Plan.of(*settings)
    entry = summarise(model, cohort, *settings)
    if inner is not None:
        own = inner[inner["model"] == models[0]]
        entry["operating_points"] = operating_points(model, own, cohort, plan)
        entry["recalibrated"] = recalibrated(model, own, cohort, plan)
    if columns:
        entry["subgroups"] = subgroups(model, cohort, columns, plan)
    baselines = {
        name: summarise(tables[name], cohort, *settings)
        | {"auc_difference": paired(model, tables[name], cohort, plan)}
        for name in rivals
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


def _definition(classes: tuple[str, ...], positive: str) -> str:
    if len(classes) == 2:
        return f"positive class {positive!r}"
    return f"mean of the {len(classes)} one-vs-rest areas"


def _per_fold(
    runs: list[Run],
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
            found, _ = measure(part, own, plan)
            result.append(_entry(part, found, own, plan, [*RUN, "fold"]))
    return result


def _entry(
    rows: pd.DataFrame, found: dict[str, Estimate], units: Units, plan: Plan, keys: list[str]
) -> dict[str, Any]:
    place = {key: int(rows[key].iloc[0]) for key in keys}
    own, present = units.within(rows), set(rows["label"].astype(str))
    missing = [name for name in plan.classes if name not in present]
    lacks = {"absent": missing} if missing and len(plan.classes) > 2 else {}
    return {**place, **_counts(rows, units), **lacks, **shown_intervals(found, rows, own, plan)[0]}


def _counts(rows: pd.DataFrame, units: Units) -> dict[str, int | None]:
    known = units.within(rows).count if units.patients_known else None
    return {"n_cases": int(rows["case_id"].nunique()), "n_patients": known}
