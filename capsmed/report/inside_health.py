"""Activity of the class capsules, and what the passes of a routing gain."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from capsmed.report.inside_files import Inside
from capsmed.report.style import FULL, HALF, MODEL, figure, ink_on, plain, svg

#: The axis of the agreement reaches this at least: a drawn change is then one worth a look.
LEAST_AGREEMENT = 0.05


def health_plot(inside: Inside) -> str:
    """Mean activation of each class capsule by true class; entropy and agreement by pass."""
    passes = inside.health["passes"]
    several = len(passes) > 1
    with figure(FULL if several else HALF * 1.2, 3.9, 0.06) as drawn:
        if several:
            layout = drawn.add_gridspec(2, 2, width_ratios=[1.25, 1])
            _activity(drawn.add_subplot(layout[:, 0]), inside)
            above = drawn.add_subplot(layout[0, 1])
            _line(above, passes, "entropy", "entropy of couplings")
            below = drawn.add_subplot(layout[1, 1])
            _line(below, passes, "agreement", "agreement")
            below.set_xlabel("pass")
        else:
            _activity(drawn.add_subplot(), inside)
        return svg(drawn, "inside_health")


def _activity(axes: Axes, inside: Inside) -> None:
    names = inside.classes
    values = np.array(inside.health["activity"], dtype=float)
    many = len(names) > 5
    most = 1.25 * max(1.0, float(np.nanmax(values)))
    drawn = axes.imshow(values, cmap="Blues", vmin=0, vmax=most)
    if len(names) <= 12:
        for (row, column), value in np.ndenumerate(values):
            text = "–" if np.isnan(value) else f"{value:.2f}"
            colour = ink_on(drawn.to_rgba(value)[:3], strong=row == column)
            size = 6.5 if many else 10
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=size)
    ticks = range(len(names)) if len(names) <= 30 else []
    turned = 30 if max(map(len, names)) > 6 and many else 0
    axes.set_xticks(ticks, [names[k] for k in ticks], rotation=turned)
    axes.set_yticks(ticks, [names[k] for k in ticks], rotation=0 if many else 90, va="center")
    axes.set(xlabel="class capsule", ylabel="true class", title="mean activation")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def _line(axes: Axes, passes: list[dict], key: str, title: str) -> None:
    values = np.array([row[key] for row in passes], dtype=float)
    axes.plot([row["pass"] for row in passes], values, "o-", color=MODEL, markersize=4, lw=1.6)
    axes.set_title(title)
    axes.set_xticks([row["pass"] for row in passes])
    axes.margins(x=0.1)
    axes.set_ylim(*limits(values, 1.0 if key == "entropy" else LEAST_AGREEMENT))
    axes.ticklabel_format(axis="y", useOffset=False)
    plain(axes, grid="y")


def limits(values: np.ndarray, least: float) -> tuple[float, float]:
    """Ends of an axis from 0 (or the lowest value) to ``least`` at least, with some room."""
    present = values[np.isfinite(values)]
    low, high = min([0.0, *present]), max([least, *present])
    room = 0.08 * (high - low)
    return low - room, high + room
