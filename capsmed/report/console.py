"""The printed summary of a run."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from capsmed.report.by_class import class_lines
from capsmed.report.words import (
    RESEARCH_USE,
    comparison,
    held_out,
    label_of,
    level,
    metric_rows,
    no_size_only,
    span,
    who,
)


def console_table(metrics: dict[str, Any], held: dict[str, Any] | None = None) -> RenderableType:
    """Metrics with intervals, baselines beside the network, runs below; for `rich.print`.

    Args:
        metrics: content of metrics.json.
        held: the same of the held-out part, where there is one.
    """
    told = [*class_lines(metrics), *(comparison(metrics, name) for name in metrics["baselines"])]
    missing = no_size_only(metrics)
    closing = [text for text in (missing, metrics["note"]) if text]
    return Group(
        _overall(metrics),
        *([Text(held_out(held), style="bold")] if held else []),
        *([_runs(metrics)] if len(metrics["model"]["per_seed"]) > 1 else []),
        *[Text(text) for text in told],
        *[Text(text, style="yellow") for text in closing],
        Text(RESEARCH_USE, style="bold"),
    )


def _overall(metrics: dict[str, Any]) -> Table:
    model, baselines = metrics["model"], metrics["baselines"]
    binary = len(metrics["classes"]) == 2
    positive = f", positive class '{metrics['positive']}'" if binary else ""
    table = Table(title=f"{who(model)}{positive}, {level(metrics)} intervals", title_justify="left")
    table.add_column("")
    for name in (model.get("name", "model"), *baselines):
        table.add_column(label_of(name))
    for key, text in metric_rows(metrics).items():
        percent = key == "error"
        heading = text if binary or key != "auc" else "AUC, one-vs-rest mean"
        cells = [span(entry[key], percent) for entry in (model, *baselines.values())]
        table.add_row(heading, *cells, style="bold" if key == "auc" else None)
    return table


def _runs(metrics: dict[str, Any]) -> Table:
    keys = metric_rows(metrics)
    shown = [key for key in ("auc", "error", "accuracy") if key in keys][:2]
    table = Table(title="each run", title_justify="left")
    for text in ("repeat", "seed", *(keys[key] for key in shown)):
        table.add_column(text)
    for entry in metrics["model"]["per_seed"]:
        cells = [span(entry[key], key == "error") for key in shown]
        table.add_row(str(entry["repeat"]), str(entry["seed"]), *cells)
    return table
