"""The metrics of parts of the cohort: size bands, scanners, kernels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from capsmed.metrics.runs import Plan, measure, shown_intervals
from capsmed.metrics.units import units_of

#: Different words of a column at most; numbers of more different values are cut into thirds.
MOST_GROUPS = 10
#: Cases of each class below which a subgroup is counted only.
FEWEST = 5
_TOLD = ("auc", "accuracy", "sensitivity", "specificity")


def subgroups(
    predictions: pd.DataFrame, cohort: pd.DataFrame, columns: Mapping[str, pd.Series], plan: Plan
) -> dict[str, list[dict[str, Any]]]:
    """Metrics with intervals of the cases that share a value of a column.

    Many subgroups make some look good or bad by chance; nothing here is tested or adjusted.

    Args:
        predictions: rows of one model.
        cohort: case_id and patient.
        columns: for each column its text by case_id, '' where unknown.
        plan: how.

    Returns:
        For each column an entry a group: ``group``, ``n_cases``, ``n_patients``, and AUC, accuracy,
        sensitivity and specificity; ``too_few`` in their place where a class has fewer than
        `FEWEST` cases.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for name, cells in columns.items():
        group = grouped(cells.reindex(predictions["case_id"].unique()).fillna(""))
        entries = []
        for value in group.unique():
            cases = set(group.index[group == value])
            rows = predictions[predictions["case_id"].isin(cases)]
            entries.append({"group": str(value), **_entry(rows, cohort, plan)})
        order = {value: place for place, value in enumerate(group.cat.categories)}
        found[name] = sorted(entries, key=lambda entry: order[entry["group"]])
    return found


def grouped(cells: pd.Series) -> pd.Series:
    """Each case's group: the word itself, or of many different numbers its third.

    >>> cells = pd.Series([str(n) for n in range(31)])
    >>> grouped(cells).cat.categories.tolist()
    ['up to 10', '10 to 20', 'above 20']
    """
    numbers = pd.to_numeric(cells.replace("", np.nan), errors="coerce")
    known = cells != ""
    if cells[known].nunique() <= MOST_GROUPS or numbers[known].isna().any():
        words = cells.where(known, "unknown")
        common = words.value_counts().index[:MOST_GROUPS]
        words = words.where(words.isin(common), "others")
        if numbers[known].notna().all():
            order = sorted(set(words), key=lambda w: (w in ("unknown", "others"), _value(w)))
        else:
            order = sorted(set(words), key=lambda w: (w in ("unknown", "others"), w))
        return words.astype(pd.CategoricalDtype(order, ordered=True))
    edges = np.quantile(numbers[known], [1 / 3, 2 / 3])
    third = np.where(numbers.isna(), 3, np.searchsorted(edges, numbers, side="left"))
    # by where they are cut, not by the extremes, which are one patient's each
    digits = next((d for d in range(3, 16) if f"{edges[0]:.{d}g}" != f"{edges[1]:.{d}g}"), 16)
    first, second = (f"{edge:.{digits}g}" for edge in edges)
    names = [f"up to {first}", f"{first} to {second}", f"above {second}", "unknown"]
    words = pd.Series([names[k] for k in third], index=cells.index)
    order = [name for name in names if (words == name).any()]
    return words.astype(pd.CategoricalDtype(order, ordered=True))


def _value(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return np.inf


def _entry(rows: pd.DataFrame, cohort: pd.DataFrame, plan: Plan) -> dict[str, Any]:
    units = units_of(rows, cohort)
    counts = {
        "n_cases": int(rows["case_id"].nunique()),
        "n_patients": units.count if units.patients_known else None,
    }
    classes = rows.drop_duplicates("case_id")["label"].astype(str).value_counts()
    if len(classes) < len(plan.classes) or classes.min() < FEWEST:
        listed = ", ".join(f"{classes.get(name, 0)} {name}" for name in plan.classes)
        return {**counts, "too_few": listed}
    found, _ = measure(rows, units, plan)
    told = {name: found[name] for name in _TOLD if name in found}
    return {**counts, **shown_intervals(told, rows, units, plan)[0]}
