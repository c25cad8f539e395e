"""Results as a picture: one panel a benchmark, one bar a contestant."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes

from capsmed.report.style import FULL, MODEL, QUIET, figure, plain, svg
from tests.benchmarks.table import duration, size

BAR_INCHES, PANEL_INCHES = 0.27, 0.5


def ratios(results: dict[str, dict[str, Any]]) -> str:
    """SVG of every benchmark that has rows: how many times as long as ours each takes."""
    drawn = {name: result for name, result in results.items() if result.get("rows")}
    heights = [PANEL_INCHES + BAR_INCHES * len(result["rows"]) for result in drawn.values()]
    with figure(FULL, max(sum(heights), 1.0)) as picture:
        grid = picture.add_gridspec(max(len(drawn), 1), 1, height_ratios=heights or None)
        for index, result in enumerate(drawn.values()):
            _panel(picture.add_subplot(grid[index]), result)
        return svg(picture, "ratios")


def _panel(axes: Axes, result: dict[str, Any]) -> None:
    rows = result["rows"]
    values = [row["ratio"] for row in rows]
    ours = [row["name"].split(": ")[-1].startswith("capsmed") for row in rows]
    colours = [MODEL if own else QUIET for own in ours]
    axes.barh(range(len(rows)), values, height=0.62, color=colours)
    for place, row in enumerate(rows):
        where = (row["ratio"] + 0.01 * max(values), place)
        axes.text(*where, _label(row), va="center", fontsize=8)
    axes.set_yticks(range(len(rows)), [row["name"] for row in rows])
    axes.invert_yaxis()
    axes.set_xlim(0, 1.45 * max(values))
    axes.set_title(result["title"].partition(":")[0] + ", times ours")
    axes.tick_params(axis="y", length=0)
    axes.set_xticks([])
    plain(axes)
    axes.spines["bottom"].set_visible(False)


def _label(row: dict[str, Any]) -> str:
    parts = [f"{row['ratio']:.2f} ×", duration(row["median_s"])]
    if row.get("peak_bytes"):
        parts.append(size(row["peak_bytes"]))
    return " · ".join(parts)
