"""More than two classes: what each is worth against the rest, for page, console and sheets."""

from __future__ import annotations

from typing import Any

import pandas as pd

from capsmed.report.plots import mark_interval
from capsmed.report.run import RunFiles
from capsmed.report.style import FULL, INK, MODEL, QUIET, figure, plain, svg
from capsmed.report.words import label_of, span

#: Columns of the table.
HEADS = {
    "auc": "AUC",
    "average_precision": "average precision",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "ppv": "PPV",
    "npv": "NPV",
    "f1": "F1",
}
_DRAWN = ("auc", "sensitivity", "ppv")
_MEANS = {"macro": "macro mean", "micro": "micro"}
_NAMED = 3  # classes that the console names
#: Cases of a class below which its row is drawn in grey.
DOUBTFUL = 20


def class_rows(entry: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Key, name and metrics of each class and mean; none for two classes and in earlier runs.

    Args:
        entry: of one model in metrics.json.
    """
    if "one_vs_rest" not in entry:
        return []
    rows = [("class", name, found) for name, found in entry["one_vs_rest"].items()]
    return rows + [(key, text, entry[key]) for key, text in _MEANS.items()]


def class_content(metrics: dict[str, Any]) -> dict[str, Any]:
    """What the page's table is made from."""
    return {
        "rows": class_rows(metrics["model"]),
        "heads": HEADS,
        "absent": absences(metrics),
        "doubtful": DOUBTFUL,
    }


def class_lines(metrics: dict[str, Any]) -> list[str]:
    """Which classes the network tells worst, and which cannot be judged, in a line each.

    Args:
        metrics: content of metrics.json.
    """
    found = metrics["model"].get("one_vs_rest", {})
    known = sorted(
        (name for name in found if found[name]["f1"]["value"] is not None),
        key=lambda name: found[name]["f1"]["value"],
    )
    lines = []
    if known:
        named = known if len(known) <= _NAMED + 1 else [*known[:_NAMED], known[-1]]
        told = [f"'{name}' {span(found[name]['f1'])}" for name in named]
        if len(named) < len(known):
            told[-1] = f"best {told[-1]}"
        lines.append(f"F1 by class, lowest first: {', '.join(told)}.")
    absent = [f"'{name}'" for name, entry in found.items() if not entry["n_cases"]]
    if absent:
        lines.append(f"Not judged, as no case is of it: {', '.join(absent)}.")
    return lines


def absences(metrics: dict[str, Any]) -> list[str]:
    """Folds without a case of some class, whose mean values leave it out."""
    lines, model = [], metrics["model"]
    several = len(model["per_seed"]) > 1
    for fold in model["per_fold"] if "one_vs_rest" in model else []:
        if fold.get("absent"):
            run = f"repeat {fold['repeat']}, seed {fold['seed']}, " if several else ""
            names = ", ".join(f"'{name}'" for name in fold["absent"])
            lines.append(f"{run}fold {fold['fold']}: no case of {names}".capitalize())
    return lines


def class_plot(metrics: dict[str, Any]) -> str | None:
    """AUC, sensitivity and predictive value of each class with their intervals, side by side."""
    rows = [row for row in class_rows(metrics["model"]) if row[0] != "micro"]
    if not rows:
        return None
    with figure(FULL, 0.75 + 0.23 * len(rows)) as drawn:
        panels = drawn.subplots(1, len(_DRAWN), sharey=True)
        for axes, key in zip(panels, _DRAWN, strict=True):
            for place, (kind, _, found) in enumerate(rows):
                few = found.get("n_cases", DOUBTFUL) < DOUBTFUL
                colour = INK if kind == "macro" else QUIET if few else MODEL
                mark_interval(axes, place, found[key], colour, 2.0 if kind == "macro" else 1.0)
            axes.set(ylim=(len(rows) - 0.5, -0.6), xlabel=HEADS[key])
            plain(axes, grid="x")
            axes.spines["left"].set_visible(False)
            axes.tick_params(axis="y", length=0)
        names = [name if len(name) < 19 else f"{name[:17]}…" for _, name, _ in rows]
        panels[0].set_yticks(range(len(rows)), names)
        return svg(drawn, "by_class")


def class_sheet(run: RunFiles) -> pd.DataFrame:
    """Every metric of every class of every model: value, limits, and how they were made."""
    models = {run.model: run.metrics["model"], **run.metrics["baselines"]}
    rows = [
        {
            "model": label_of(model),
            "class": name,
            "cases": found.get("n_cases"),
            "metric": text,
            **{limit: found[key][limit] for limit in ("value", "low", "high")},
            "interval": found[key]["method"],
        }
        for model, entry in models.items()
        for _, name, found in class_rows(entry)
        for key, text in HEADS.items()
        if key in found
    ]
    return pd.DataFrame(rows)
