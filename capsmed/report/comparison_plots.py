"""The figures of a comparison as SVG text."""

from __future__ import annotations

from typing import Any

from capsmed.metrics.curves import GRID, roc
from capsmed.report.plots import mark_interval, name_rows
from capsmed.report.rivals import Rivals
from capsmed.report.style import FAINT, FULL, INK, PALETTE, figure, plain, svg
from capsmed.report.words import span


def difference_plot(found: dict[str, Any]) -> str:
    """The AUC's difference of each pair with its interval, and zero."""
    pairs = [pair for pair in found["pairs"] if pair["auc"]["value"] is not None]
    with figure(FULL, 0.8 + 0.3 * len(pairs)) as drawn:
        axes = drawn.add_subplot()
        axes.axvline(0, color=FAINT, linewidth=0.8, zorder=0)
        for place, pair in enumerate(pairs):
            mark_interval(axes, place, pair["auc"], INK, 2.0)
        axes.set(ylim=(len(pairs) - 0.5, -0.6), xlabel="AUC, first minus second")
        names = [f"{pair['first']} − {pair['second']}" for pair in pairs]
        name_rows(axes, names, [span(pair["auc"]) for pair in pairs])
        return svg(drawn, "differences")


def roc_plot(rivals: Rivals, found: dict[str, Any]) -> str:
    """ROC curves of all models, without bands, which would hide each other."""
    told = (rivals.cohort, rivals.classes, rivals.positive)
    with figure(FULL, 4.2) as drawn:
        axes = drawn.add_subplot()
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8)
        for number, (name, rows) in enumerate(rivals.models.items()):
            curve = roc(rows, *told, bootstrap=1)
            text = f"{name}  {span(found['models'][name]['auc'])}"
            colour, dashes = PALETTE[number % len(PALETTE)], "-" if number < len(PALETTE) else "--"
            axes.plot(GRID, curve.sensitivity, dashes, color=colour, linewidth=1.5, label=text)
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
        axes.set(xlabel="1 − specificity", ylabel="sensitivity")
        axes.legend(
            loc="upper left", bbox_to_anchor=(1.02, 1), title="AUC (interval)", alignment="left",
            title_fontsize=8,
        )  # fmt: skip
        plain(axes)
        return svg(drawn, "roc")
