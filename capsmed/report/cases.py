"""The page's table of cases and its threshold, as data for `cases.js`."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from capsmed.metrics.sample import samples_of
from capsmed.metrics.tables import targets
from capsmed.metrics.units import units_of
from capsmed.report.case_pictures import pictures_of
from capsmed.report.run import RunFiles

#: Scores on the page at most; of more, a case's mean over runs stands for them.
MOST_SCORES = 400_000


def cases_content(run: RunFiles) -> dict[str, Any]:
    """What the section shows; all of it from predictions.csv, cohort.csv and the folds' cuts."""
    rows = run.of(run.model)
    binary = len(run.classes) == 2
    ids = rows["case_id"].drop_duplicates().to_numpy(str)
    tables = [_by_case(part, ids, run) for _, part in rows.groupby(["repeat", "seed"])]
    shares = np.nanmean([table for table, _ in tables], axis=0)
    first = rows.drop_duplicates("case_id").set_index("case_id").loc[ids]
    label = targets(first, run.classes)
    place = run.classes.index(run.positive) if binary else 0
    truth = shares[np.arange(len(ids)), label]
    diameter = _diameters(run, ids)
    pictures, numbers = pictures_of(run, ids[np.argsort(truth, kind="stable")])
    scores = [table[:, place] for table, _ in tables] if binary else []
    if len(scores) * len(ids) > MOST_SCORES:
        scores = [shares[:, place]]
    called = shares.argmax(1)
    if binary:
        called = np.where(np.nanmean([c for _, c in tables], axis=0) >= 0.5, place, 1 - place)
    data = {
        "classes": run.classes,
        "positive": place if binary else None,
        "id": ids.tolist(),
        "label": label.tolist(),
        "called": called.tolist(),
        "shown": _numbers(shares[:, place] if binary else truth),
        "truth": _numbers(truth),
        "fold": first["fold"].astype(int).tolist(),
        "diameter": diameter,
        "measured": any(value is not None for value in diameter),
        "scores": [_numbers(values, digits=17) for values in scores],
        "picture": [numbers.get(case, -1) for case in ids],
        "scored": f"P({run.positive})" if binary else "P(true class)",
    }
    thresholds = rows["threshold"].dropna() if "threshold" in rows else pd.Series(dtype=float)
    return {
        "data": _script(data),
        "pictures": _script(pictures),
        "scale": pictures.get("scale"),
        "script": Markup(files("capsmed.report").joinpath("cases.js").read_text(encoding="utf-8")),
        "negative": run.classes[1 - place] if binary else "",
        "threshold": float(thresholds.mean()) if len(thresholds) else 0.5,
        "columns": _columns(data),
    }


def _columns(data: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Key, heading and the direction of the first sorting."""
    found = [
        ("id", "case", "up"),
        ("label", "class", "up"),
        ("called", "called", "up"),
        ("score", data["scored"], "down"),
        ("wrong", "wrong by", "down"),
        ("fold", "fold", "up"),
    ]
    return [*found, ("diameter", "mm", "down")] if data["measured"] else found


def _by_case(rows: pd.DataFrame, ids: np.ndarray, run: RunFiles) -> tuple[np.ndarray, np.ndarray]:
    """One run's probabilities [cases, classes] and whether called positive, NaN where absent."""
    sample = samples_of(rows, units_of(rows, run.cohort).index, run.classes, run.positive)[0]
    own = rows["case_id"].drop_duplicates().to_numpy(str)
    place = pd.Series(np.arange(len(ids)), index=ids)[own].to_numpy()
    shares = np.full((len(ids), len(run.classes)), np.nan)
    called = np.full(len(ids), np.nan)
    shares[place] = sample.probabilities
    if len(run.classes) == 2:
        called[place] = sample.predicted == run.classes.index(run.positive)
    return shares, called


def _diameters(run: RunFiles, ids: np.ndarray) -> list[float | None]:
    if "diameter_mm" not in run.cohort:
        return [None] * len(ids)
    table = run.cohort.drop_duplicates("case_id").set_index("case_id")["diameter_mm"]
    return _numbers(table.reindex(ids).to_numpy(float), digits=4)


def _numbers(values: np.ndarray, digits: int = 6) -> list[float | None]:
    return [float(f"{v:.{digits}g}") if np.isfinite(v) else None for v in values.tolist()]


def _script(content: Any) -> Markup:
    """JSON that cannot end its own script element."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028"))
