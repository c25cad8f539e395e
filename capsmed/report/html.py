"""report.html: one page with everything in it, made from the run folder alone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from capsmed import atomic
from capsmed.metrics.tables import HELD_OUT
from capsmed.report import by_class, cohort, words
from capsmed.report.cases import cases_content
from capsmed.report.checklists import checklists
from capsmed.report.examples import example_plot
from capsmed.report.inside import inside_content, inside_plots
from capsmed.report.inside_files import read_inside
from capsmed.report.learning import learning_content
from capsmed.report.learning_plot import learning_plot
from capsmed.report.methods import methods
from capsmed.report.plots import (
    confusion_plot,
    forest_plot,
    roc_plot,
    score_plot,
    training_plot,
)
from capsmed.report.probability_plots import (
    calibration_plot,
    decision_plot,
    precision_recall_plot,
)
from capsmed.report.run import RunFiles, read_run
from capsmed.report.style import FULL, footed, size_of
from capsmed.report.terms import explained
from capsmed.report.tuned import tuned_content

#: Width of the page's column in CSS pixels, as in the template.
PAGE = 820


_OF_PROBABILITIES = (
    "brier", "log_loss", "calibration_slope", "calibration_intercept", "calibration_error",
)  # fmt: skip
_OF_GROUPS = ("auc", "accuracy", "sensitivity", "specificity")


def write_report(run: Path, evaluation: Path | None = None) -> Path:
    """Write plots/*.svg and report.html from a run folder's files; no images are needed.

    A run's held-out part has a page of its own, which is written with the run's.

    Args:
        run: a finished run folder, or an ``evaluations/<name>`` folder inside one.
        evaluation: one of its ``evaluations/<name>`` folders, to report on that cohort instead;
            the plots and the page are then written there.

    Returns:
        The path of report.html.

    Raises:
        CheckpointError: the folder lacks a file of a finished run.
    """
    found = read_run(Path(run), evaluation)
    if found.held_out:
        write_report(found.folder, found.folder / "evaluations" / HELD_OUT)
    plots = draw(found)
    footnote = f"{words.RESEARCH_USE} {words.sentence(found.metrics['note'])}"
    for name, text in plots.items():
        atomic.write_text(found.folder / "plots" / f"{name}.svg", footed(text, footnote))
    path = found.folder / "report.html"
    atomic.write_text(path, render(found, plots))
    return path


def draw(run: RunFiles) -> dict[str, str]:
    """The figures that this run has data for, by name, as SVG text."""
    # runs of earlier versions lack the scores of these
    binary = len(run.classes) == 2 and "calibration_slope" in run.metrics["model"]
    drawings: dict[str, Callable[[], str | None]] = {
        "roc": lambda: roc_plot(run),
        "confusion": lambda: confusion_plot(run),
        "forest": lambda: forest_plot(run.metrics),
        "by_class": lambda: by_class.class_plot(run.metrics),
        "scores": lambda: score_plot(run),
        "precision_recall": lambda: precision_recall_plot(run) if binary else None,
        "calibration": lambda: calibration_plot(run) if binary else None,
        "decision": lambda: decision_plot(run) if binary else None,
        "training": lambda: training_plot(run.folds) if _has_history(run) else None,
        "examples": lambda: example_plot(run),
        "learning": lambda: learning_plot(run.folds),
    }
    drawn = {name: drawing() for name, drawing in drawings.items()}
    inside = read_inside(run)
    drawn |= inside_plots(inside, run) if inside else {}
    return {name: text for name, text in drawn.items() if text is not None}


def render(run: RunFiles, plots: dict[str, str]) -> str:
    """The page as text."""
    figures = {name: inline(text) for name, text in plots.items()}
    return page("template.html.j2", **_content(run), figures=figures)


def page(template: str, **content: Any) -> str:
    """A page as text, from a template of this folder."""
    environment = jinja2.Environment(
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        loader=jinja2.FunctionLoader(_template),
    )
    return environment.get_template(template).render(**content)


def _template(name: str) -> str:
    return files("capsmed.report").joinpath(name).read_text(encoding="utf-8")


def _content(run: RunFiles) -> dict[str, Any]:
    metrics = run.metrics
    models = {run.model: metrics["model"], **metrics["baselines"]}
    inside = read_inside(run)
    return {
        "run": run,
        "metrics": metrics,
        "words": words,
        "headline": words.headline(metrics, _scored(run)),
        "comparisons": [words.comparison(metrics, name) for name in metrics["baselines"]],
        "models": models,
        "rows": words.metric_rows(metrics),
        "more": words.more_rows(metrics),
        "explained": lambda key: explained(key, len(metrics["classes"])),
        "calibration": [key for key in _OF_PROBABILITIES if key in metrics["model"]],
        "told": [key for key in _OF_GROUPS if key in metrics["model"]],
        "by_class": by_class.class_content(metrics),
        "cases": cases_content(run),
        "binary": len(metrics["classes"]) == 2,
        "several_runs": len(metrics["model"]["per_seed"]) > 1,
        "classes": cohort.class_rows(run),
        "excluded": cohort.excluded_rows(run),
        "parts": cohort.part_rows(run),
        "without_diameter": cohort.without_diameter(run),
        "methods": " ".join(methods(run)),
        "checklists": checklists(run),
        "decoded": any("reconstruction" in fold.examples for fold in run.folds),
        "inside": inside_content(inside, run) if inside else None,
        "learning": learning_content(run),
        "tuned": tuned_content(run),
        "environment": _flat(run.environment),
    }


def _has_history(run: RunFiles) -> bool:
    return any(len(fold.history) for fold in run.folds)


def _scored(run: RunFiles) -> str:
    if run.evaluation == HELD_OUT:
        return "held out of all folds"
    if run.evaluation:
        return f"of the cohort '{run.evaluation}'"
    several = len(run.splits) and run.splits["fold"].nunique() > 1
    return "each scored by a model that never saw it" if several else "in the test part"


def inline(svg: str) -> Markup:
    """An SVG file as an element of the page, at most as wide as the page shows its type alike."""
    head, rest = svg[svg.index("<svg") :].split(">", 1)
    width, _ = size_of(head)
    head = re.sub(r' (width|height)="[^"]*"', "", head)
    return Markup(f'{head} style="max-width:{width * PAGE / (72 * FULL):.0f}px">{rest}')


def _flat(content: dict[str, Any], before: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, value in content.items():
        if isinstance(value, dict):
            rows += _flat(value, f"{before}{key} ")
        elif key != "schema_version" and value not in (None, ""):
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            rows.append((f"{before}{key}".replace("_", " "), text))
    return rows
