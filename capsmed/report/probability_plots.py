"""Figures of two classes that take the probabilities at their word, as SVG text."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from capsmed.metrics.probability_curves import (
    RECALLS,
    THRESHOLDS,
    net_benefit,
    precision_recall,
    reliability,
)
from capsmed.metrics.sample import Sample, samples_of
from capsmed.metrics.units import units_of
from capsmed.report.run import RunFiles
from capsmed.report.style import FAINT, HALF, INK, MODEL, QUIET, colour_of, figure, plain, svg
from capsmed.report.words import label_of, span


def precision_recall_plot(run: RunFiles) -> str | None:
    """Precision-recall curves of the network and its baselines; None without both classes."""
    curves = {name: precision_recall(samples, _positive(run)) for name, samples in _all(run)}
    if curves[run.model] is None:
        return None
    shares = [np.mean(s.target == _positive(run)) for s in _samples(run, run.model)]
    with figure(HALF, 4.0) as drawn:
        axes = drawn.add_subplot()
        axes.axhline(float(np.mean(shares)), color=QUIET, linewidth=0.8, linestyle=(0, (3, 2)))
        for name, curve in curves.items():
            entry = {run.model: run.metrics["model"], **run.metrics["baselines"]}[name]
            text = f"{label_of(name)}  {span(entry['average_precision'])}"
            if curve is not None:
                axes.plot(RECALLS, curve, color=_colour(run, name), linewidth=1.6, label=text)
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
        axes.set(xlabel="recall (sensitivity)", ylabel="precision (positive predictive value)")
        _legend(axes, "average precision (interval)")
        return svg(drawn, "precision_recall")


def calibration_plot(run: RunFiles) -> str:
    """Share of positive cases over the predicted probability, with the cases' own distribution."""
    samples = dict(_all(run))[run.model]
    found = reliability(samples, _positive(run), run.metrics.get("confidence", 0.95))
    share = np.concatenate([sample.probabilities[:, _positive(run)] for sample in samples])
    with figure(HALF, 4.6) as drawn:
        axes, below = drawn.subplots(2, 1, height_ratios=[5, 1], sharex=True)
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8)
        reach = np.clip([found.found - found.low, found.high - found.found], 0, None)
        axes.errorbar(
            found.said, found.found, reach, color=MODEL, fmt="o-", ms=4, lw=1.2, elinewidth=0.8
        )
        told = {"slope": "calibration_slope", "intercept": "calibration_intercept"}
        lines = [f"{text} {span(run.metrics['model'][key])}" for text, key in told.items()]
        axes.text(0.02, 0.98, "\n".join(lines), fontsize=8, va="top", transform=axes.transAxes)
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.02, 1.02), ylabel=f"share of '{run.positive}'")
        below.hist(share, bins=np.linspace(0, 1, 41), color=QUIET, linewidth=0)
        below.set(xlabel=f"predicted probability of '{run.positive}'", yticks=[])
        plain(axes)
        plain(below)
        below.spines["left"].set_visible(False)
        return svg(drawn, "calibration")


def decision_plot(run: RunFiles) -> str:
    """Net benefit over the probability from which one would act."""
    with figure(HALF, 4.0) as drawn:
        axes = drawn.add_subplot()
        top = 0.0
        for number, (name, samples) in enumerate(_all(run)):
            benefit, every = net_benefit(samples, _positive(run))
            if number == 0:
                axes.plot(THRESHOLDS, every, color=QUIET, lw=1, ls=(0, (3, 2)), label="act on all")
                axes.axhline(0, color=INK, linewidth=0.8, label="act on none")
            axes.plot(
                THRESHOLDS, benefit, color=_colour(run, name), linewidth=1.6, label=label_of(name)
            )
            top = max(top, float(benefit.max()))
        axes.set(xlim=(0, 1), ylim=(-0.25 * top - 0.01, 1.1 * top + 0.01))
        axes.set(xlabel="probability from which to act", ylabel="net benefit")
        _legend(axes, None)
        return svg(drawn, "decision")


def _all(run: RunFiles) -> list[tuple[str, list[Sample]]]:
    """The runs of the network and of each baseline."""
    return [(name, _samples(run, name)) for name in (run.model, *run.metrics["baselines"])]


def _samples(run: RunFiles, model: str) -> list[Sample]:
    rows = run.of(model).sort_values("case_id")
    return samples_of(rows, units_of(rows, run.cohort).index, run.classes, run.positive)


def _positive(run: RunFiles) -> int:
    return run.classes.index(run.positive)


def _colour(run: RunFiles, name: str) -> str:
    return colour_of(name, [run.model, *run.metrics["baselines"]])


def _legend(axes: Axes, title: str | None) -> None:
    axes.legend(loc="best", title=title, title_fontsize=8, alignment="left")
    plain(axes)
