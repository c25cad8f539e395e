"""Histograms of a cohort that was looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from capsmed.data.survey import Survey
from capsmed.report.style import FULL, HEAD, MODEL, QUIET, SIZE, figure, plain, svg

PALETTE = (MODEL, SIZE, HEAD, "#CC79A7", "#E69F00", "#56B4E9")
BINS = 20


def histograms(survey: Survey) -> str | None:
    """Diameters by class, spacings, values at the point, where they differ; None if none do."""
    panels = [(title, found) for title, found in _panels(survey).items() if _differ(found)]
    if not panels:
        return None
    with figure(FULL * (len(panels) + 1) / 5 if len(panels) < 4 else FULL, 2.6, 0.05) as drawn:
        for axes, (title, found) in zip(
            drawn.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
        ):
            _histogram(axes, found)
            axes.set_xlabel(title)
            plain(axes)
        drawn.axes[0].set_ylabel("cases")
        return svg(drawn, "histograms")


def _panels(survey: Survey) -> dict[str, dict[str, list[float]]]:
    cases = survey.cases
    labels = list(dict.fromkeys([*survey.classes, *(case.label for case in cases)]))
    shown = labels if len(labels) <= len(PALETTE) else []
    diameters = {k: [c.diameter_mm for c in cases if c.label == k] for k in shown}
    in_mm = [case for case in cases if case.spacing and len(case.shape) == 3]
    boxes = [case.box for case in cases if case.box is not None]
    return {
        "diameter, mm": diameters or {"": [case.diameter_mm for case in cases]},
        "in-plane spacing, mm": {"": [max(case.spacing[:2]) for case in in_mm]},
        "slice step, mm": {"": [case.spacing[2] for case in in_mm]},
        "HU at the point": {"": [case.given.hu for case in cases if case.given]},
        "median value in the box": {"": [b.median for b in boxes] if not in_mm else []},
    }


def _differ(found: Mapping[str, Sequence[float]]) -> bool:
    joined = np.array([value for values in found.values() for value in values])
    joined = joined[np.isfinite(joined)]
    return joined.size > 2 and joined.max() - joined.min() > 1e-3 * abs(joined.max())


def _histogram(axes: Axes, found: Mapping[str, Sequence[float]]) -> None:
    groups = {k: np.asarray(v, float)[np.isfinite(v)] for k, v in found.items() if len(v)}
    joined = np.concatenate(list(groups.values()))
    low, high = joined.min(), joined.max()
    wide = max(high - low, 0.1 * abs(high), 0.1)
    middle = (low + high) / 2
    edges = np.linspace(middle - wide / 2, middle + wide / 2, BINS + 1).tolist()
    colours = PALETTE[: len(groups)] if len(groups) > 1 else [QUIET]
    axes.hist(list(groups.values()), edges, stacked=True, color=colours, label=list(groups))
    axes.locator_params(axis="y", integer=True, nbins=5)
    axes.locator_params(axis="x", nbins=5)
    if len(groups) > 1:
        rows = {"ncols": 2, "columnspacing": 1.0, "handlelength": 0.8, "borderpad": 0}
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.02), **rows)
