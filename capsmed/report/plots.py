"""The report's figures; each function returns SVG text and draws only what it is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from capsmed.metrics.curves import GRID, Roc, confusion, roc
from capsmed.metrics.tables import probabilities, targets
from capsmed.report.run import Fold, RunFiles
from capsmed.report.style import (
    COLOURS,
    FAINT,
    FULL,
    HALF,
    INK,
    MODEL,
    QUIET,
    colour_of,
    figure,
    ink_on,
    plain,
    svg,
)
from capsmed.report.words import label_of, number, span

FEW_EPOCHS = 5  # up to which the training's lines have marks


def roc_plot(run: RunFiles) -> str:
    """ROC curve of the network with its band, and of each baseline."""
    with figure(HALF, 4.0) as drawn:
        axes = drawn.add_subplot()
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8)
        models = _models(run.metrics)
        for name, entry in models.items():
            curve = _roc(run, name)
            colour = colour_of(name, list(models))
            text = f"{label_of(name)}  {span(entry['auc'])}"
            if name == run.model:
                axes.fill_between(GRID, curve.low, curve.high, color=colour, alpha=0.15, lw=0)
            axes.plot(GRID, curve.sensitivity, color=colour, linewidth=1.6, label=text)
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
        axes.set(xlabel="1 − specificity", ylabel="sensitivity")
        axes.legend(loc="lower right", title="AUC (interval)", title_fontsize=8, alignment="left")
        plain(axes)
        return svg(drawn, "roc")


def confusion_plot(run: RunFiles) -> str:
    """Counts and row percentages; the shade is the percentage."""
    counts, _ = confusion(run.of(run.model), run.cohort, run.classes, run.positive)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = [_short(name) for name in run.classes]
    many = len(names) > 4
    with figure(6.2 if many else HALF, 5.6 if many else 4.0) as drawn:
        axes = drawn.add_subplot()
        shades = axes.imshow(share, cmap="Blues", vmin=0, vmax=1.25)
        for (row, column), value in np.ndenumerate(counts):
            text = number(value, 0 if float(value).is_integer() else 1)
            if value or not many:
                text += f"\n{100 * share[row, column]:.{1 if many else 0}f}%"
            colour = ink_on(shades.to_rgba(share[row, column])[:3], strong=bool(value))
            size = 7 if many else 10
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=size)
        ticks = range(len(names))
        axes.set_xticks(ticks, names, rotation=30 if max(map(len, names)) > 10 and many else 0)
        axes.set_yticks(ticks, names, rotation=0 if many else 90, va="center")
        axes.set(xlabel="predicted", ylabel="true")
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        return svg(drawn, "confusion")


def score_plot(run: RunFiles) -> str:
    """Two classes: probability of the positive one by class; more: that of the true class."""
    rows = run.of(run.model)
    scores, target = probabilities(rows, run.classes), targets(rows, run.classes)
    binary = len(run.classes) == 2
    if binary:
        shown = scores[:, run.classes.index(run.positive)]
    else:
        shown = scores[np.arange(len(rows)), target]
    with figure(FULL, 1.0 + 0.55 * len(run.classes) * (1 if binary else 0.6)) as drawn:
        axes = drawn.add_subplot()
        for k in range(len(run.classes)):
            _spread(axes, shown[target == k], k)
        if binary:
            _thresholds(axes, rows)
        axes.set_yticks(range(len(run.classes)), [_short(name) for name in run.classes])
        axes.set(xlim=(-0.01, 1.01), ylim=(len(run.classes) - 0.5, -0.5))
        wanted = f"'{run.positive}'" if binary else "the true class"
        axes.set(xlabel=f"predicted probability of {wanted}")
        plain(axes, grid="x")
        return svg(drawn, "scores")


def forest_plot(metrics: dict[str, Any]) -> str:
    """Values with intervals: the model, its baselines, and every run and fold where several.

    Two classes: AUC. More: error in percent, because their mean area is all but 1.
    """
    key = "error" if len(metrics["classes"]) > 2 else "auc"
    rows = _forest_rows(metrics, key)
    with figure(FULL, 0.75 + 0.23 * len(rows)) as drawn:
        axes = drawn.add_subplot()
        for place, (_, entry, colour, strong) in enumerate(rows):
            mark_interval(axes, place, entry, colour, 2.0 if strong else 1.0)
        axes.set(ylim=(len(rows) - 0.5, -0.6), xlabel="AUC" if key == "auc" else "error")
        if key == "auc":
            axes.axvline(0.5, color=FAINT, linewidth=0.8, zorder=0)
        else:
            axes.xaxis.set_major_formatter(PercentFormatter(1))
        texts = [span(entry, key == "error") for _, entry, _, _ in rows]
        name_rows(axes, [text for text, *_ in rows], texts)
        for tick, (*_, strong) in zip(axes.get_yticklabels(), rows, strict=True):
            tick.set_fontweight("bold" if strong else "normal")
        return svg(drawn, "forest")


def training_plot(folds: list[Fold]) -> str:
    """Loss and inner scores over epochs, a thin line for each fold, the mean on top."""
    histories = [fold.history for fold in folds if len(fold.history)]
    names = {"inner_auc": "AUC", "inner_accuracy": "accuracy"}
    scored = [name for name in names if any(_has(h, name) for h in histories)]
    with figure(FULL, 2.8) as drawn:
        loss, *score = drawn.subplots(1, 2 if scored else 1, squeeze=False)[0]
        _lines(loss, histories, "train_loss", MODEL, "train")
        _lines(loss, histories, "inner_loss", COLOURS["size_only"], "inner")
        loss.set(xlabel="epoch", title="loss")
        for axes in score:
            for name, colour in zip(scored, (MODEL, COLOURS["ordinary_head"]), strict=False):
                _lines(axes, histories, name, colour, names[name])
            axes.set(xlabel="epoch", title="inner part (early stopping)")
            axes.set_ylim(top=1.005)
        for axes in (loss, *score):
            plain(axes, grid="y")
            axes.legend(loc="best")
            axes.xaxis.get_major_locator().set_params(integer=True)
        return svg(drawn, "training")


def _models(metrics: dict[str, Any]) -> dict[str, Any]:
    return {metrics["model"].get("name", "model"): metrics["model"], **metrics["baselines"]}


def _roc(run: RunFiles, model: str) -> Roc:
    confidence = run.metrics.get("confidence", 0.95)
    return roc(run.of(model), run.cohort, run.classes, run.positive, confidence)


def _forest_rows(metrics: dict[str, Any], key: str) -> list[tuple[str, dict[str, Any], str, bool]]:
    model, models = metrics["model"], _models(metrics)
    rows = [
        (label_of(name), entry[key], colour_of(name, list(models)), True)
        for name, entry in models.items()
    ]
    repeated = len({entry["repeat"] for entry in model["per_seed"]}) > 1
    if len(model["per_seed"]) > 1:
        rows += [(_place(e, repeated), e[key], MODEL, False) for e in model["per_seed"]]
    if len(model["per_fold"]) > len(model["per_seed"]) and len(model["per_fold"]) <= 30:
        several = len(model["per_seed"]) > 1
        for entry in model["per_fold"]:
            before = f"{_place(entry, repeated)}, " if several else ""
            rows.append((f"{before}fold {entry['fold']}", entry[key], QUIET, False))
    return rows


def _place(entry: dict[str, Any], repeated: bool) -> str:
    return (f"repeat {entry['repeat']}, " if repeated else "") + f"seed {entry['seed']}"


def name_rows(axes: Axes, names: Sequence[str], values: Sequence[str]) -> None:
    """Names on the left and values on the right of the rows of a forest plot, without frames."""
    axes.set_yticks(range(len(names)), names)
    right = axes.secondary_yaxis("right")
    right.set_yticks(range(len(values)), values)
    right.tick_params(length=0)
    right.spines[:].set_visible(False)
    plain(axes)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def mark_interval(axes: Axes, place: int, entry: dict[str, Any], colour: str, width: float) -> None:
    """A value as a dot on the line of its interval, where there are any."""
    if entry["value"] is None:
        return
    axes.plot([entry["low"], entry["high"]], [place, place], color=colour, linewidth=width)
    axes.plot(entry["value"], place, "o", color=colour, markersize=3 + width)


def _spread(axes: Axes, values: np.ndarray, place: int) -> None:
    """Quartiles as a bar, the median as a mark, and every case as a dot while they can be seen."""
    if len(values) == 0:
        return
    quarter, middle, three = np.quantile(values, [0.25, 0.5, 0.75])
    axes.plot([quarter, three], [place, place], color=FAINT, linewidth=13, solid_capstyle="butt")
    axes.plot([middle, middle], [place - 0.2, place + 0.2], color=INK, linewidth=1.2)
    order = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    # The golden ratio spreads neighbours in rank evenly: jitter without random numbers.
    height = ((order * 0.618034) % 1 - 0.5) * 0.5
    drawn = slice(None, None, max(1, len(values) // 250))
    axes.scatter(
        values[drawn], place + height[drawn], s=9, color=MODEL, alpha=0.65, linewidths=0, zorder=3
    )


def _thresholds(axes: Axes, rows: pd.DataFrame) -> None:
    chosen = rows["threshold"].dropna().unique() if "threshold" in rows else []
    for value in chosen if len(chosen) else [0.5]:
        axes.axvline(value, color=QUIET, linewidth=0.7, linestyle=(0, (3, 2)), zorder=1)


def _has(history: pd.DataFrame, name: str) -> bool:
    return name in history and bool(history[name].notna().any())


def _lines(axes: Axes, histories: list[pd.DataFrame], name: str, colour: str, label: str) -> None:
    present = [h.set_index("epoch")[name] for h in histories if _has(h, name)]
    # A line of one epoch is invisible, and one of a few hides where they lie.
    marker = "o" if present and max(map(len, present)) <= FEW_EPOCHS else ""
    for line in present if len(present) > 1 else []:
        axes.plot(line.index, line, color=colour, linewidth=0.6, alpha=0.35, marker=marker, ms=2)
    if present:
        # Beyond the shortest fold the mean would jump as folds stop: it ends where one ends.
        mean = pd.concat(present, axis=1).dropna().mean(axis=1)
        axes.plot(mean.index, mean, color=colour, linewidth=1.6, label=label, marker=marker, ms=5)


def _short(name: str, longest: int = 18) -> str:
    return name if len(name) <= longest else f"{name[: longest - 1]}…"
