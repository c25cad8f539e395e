"""The figure that shows whether the folds learnt: AUCs of the parts, capsules, loss terms."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from capsmed.metrics.learning import EDGES
from capsmed.report.learning import measured, name_of
from capsmed.report.run import Fold
from capsmed.report.style import FAINT, FULL, HEAD, MODEL, QUIET, SIZE, figure, plain, svg

MOST = 30  # folds in the figure
_PARTS = (("train", "training", MODEL), ("inner", "inner", QUIET), ("test", "test", SIZE))


def learning_plot(folds: list[Fold]) -> str | None:
    """Each fold's AUC by part; lengths of class capsules and shares of the loss where there are."""
    shown = measured(folds)[:MOST]
    if not shown:
        return None
    facts = [fold.record["learning"] for fold in shown]
    panels = [_areas]
    panels += [_lengths] if any(f.get("activations") for f in facts) else []
    panels += [_shares] if any(len(_terms(f)) > 1 for f in facts) else []
    names = [name_of(fold, folds) for fold in shown]
    with figure(FULL, max(2.4, 0.9 + 0.22 * len(shown))) as drawn:
        row = drawn.subplots(1, len(panels), squeeze=False)[0]
        for axes, panel in zip(row, panels, strict=True):
            panel(axes, facts, names)
        return svg(drawn, "learning")


def _areas(axes: Axes, facts: list[dict[str, Any]], names: list[str]) -> None:
    axes.axvline(0.5, color=FAINT, linewidth=0.8, zorder=0)
    for k, (part, text, colour) in enumerate(_PARTS):
        areas = [(f.get(part) or {}).get("auc") for f in facts]
        places = [row + 0.2 * (k - 1) for row, area in enumerate(areas) if area]
        present = [area for area in areas if area]
        if not present:
            continue
        for place, area in zip(places, present, strict=True):
            axes.plot([area["low"], area["high"]], [place, place], color=colour, linewidth=0.8)
        values = [area["value"] for area in present]
        axes.plot(values, places, "o", color=colour, markersize=4, label=text)
    axes.set(xlim=(-0.02, 1.02), ylim=(len(names) - 0.5, -0.5), title="AUC, chance at 0.5")
    axes.set_yticks(range(len(names)), names)
    _legend_below(axes)


def _lengths(axes: Axes, facts: list[dict[str, Any]], names: list[str]) -> None:
    present = [f["activations"] for f in facts if f.get("activations")]
    for key, text, colour in (("other", "other classes", QUIET), ("own", "right class", MODEL)):
        counts = np.sum([entry[key] for entry in present], axis=0)
        share = counts / max(counts.sum(), 1)
        axes.stairs(share, EDGES, color=colour, fill=True, alpha=0.5, label=text)
    axes.set(xlim=(0, 1), title="class capsules' activation", ylabel="share")
    _legend_below(axes)


def _shares(axes: Axes, facts: list[dict[str, Any]], names: list[str]) -> None:
    left = np.zeros(len(facts))
    found = sorted({name for f in facts for name in _terms(f)})
    for name, colour in zip(found, (MODEL, SIZE, HEAD, QUIET), strict=False):
        share = np.array([_share(_terms(f), name) for f in facts])
        axes.barh(range(len(facts)), share, left=left, height=0.6, color=colour, label=name)
        left = left + share
    axes.set(xlim=(0, 1), ylim=(len(names) - 0.5, -0.5), title="share of the loss")
    axes.set_yticks(range(len(names)), [""] * len(names))  # the rows of the first panel
    _legend_below(axes)


def _legend_below(axes: Axes) -> None:
    axes.legend(loc="upper left", bbox_to_anchor=(-0.02, -0.12), ncols=3, columnspacing=1.2)
    plain(axes)


def _terms(facts: dict[str, Any]) -> dict[str, float]:
    return (facts.get("loss") or {}).get("terms") or {}


def _share(terms: dict[str, float], name: str) -> float:
    whole = sum(abs(value) for value in terms.values())
    return abs(terms.get(name, 0.0)) / whole if whole else 0.0
