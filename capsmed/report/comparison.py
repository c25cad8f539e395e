"""comparison.json and comparison.html: models of one or more runs beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from capsmed import atomic
from capsmed.errors import CheckpointError, DataError
from capsmed.metrics.compare import compare
from capsmed.report import compared, words
from capsmed.report.comparison_plots import difference_plot, roc_plot
from capsmed.report.html import inline, page
from capsmed.report.rivals import Rivals, read_rivals

_LONGEST = 80  # name of a folder


def write_comparison(
    runs: Sequence[Path],
    out: Path | None = None,
    *,
    baselines: bool = False,
    shared: bool = False,
    all_pairs: bool = False,
    bootstrap: int = 2000,
) -> Path:
    """Compare the networks of finished runs on the same cases; no images are needed.

    Args:
        runs: run folders or ``evaluations/<name>`` folders, the first to be compared with each
            other; of a single one its network is compared with its baselines.
        out: folder to write into; default ``runs/compare-<names>``.
        baselines: compare with the runs' baselines too.
        shared: compare on the cases that all have predicted, where they differ.
        all_pairs: compare each with each.
        bootstrap: number of resamples.

    Returns:
        The folder, with comparison.json and comparison.html.

    Raises:
        CheckpointError: a folder is no finished run, or its predictions were changed.
        DataError: the runs cannot be compared, see `read_rivals`; or ``out`` is something else.
    """
    rivals = read_rivals(runs, baselines, shared)
    folder = out if out is not None else _folder(rivals)
    if folder.exists() and any(folder.iterdir()) and not (folder / "comparison.json").exists():
        raise DataError(
            f"{folder}: expected a new folder or that of a comparison, got another; "
            "choose one with --out"
        )
    try:
        found = compare(
            rivals.models,
            rivals.cohort,
            rivals.classes,
            rivals.positive,
            confidence=rivals.runs[0].metrics.get("confidence", 0.95),
            bootstrap=bootstrap,
            all_pairs=all_pairs,
        )
    except ValueError as error:  # files of a run changed by hand
        raise CheckpointError(f"{rivals.runs[0].folder}: {error}; train it again") from error
    found["remarks"] = list(rivals.remarks)
    figures = {"differences": difference_plot(found), "roc": roc_plot(rivals, found)}
    atomic.write_json(folder / "comparison.json", found)
    atomic.write_text(folder / "comparison.html", _render(rivals, found, figures))
    return folder


def _folder(rivals: Rivals) -> Path:
    names = [run.evaluation or run.folder.resolve().name for run in rivals.runs]
    return Path("runs") / f"compare-{'-'.join(names)}"[:_LONGEST]


def _render(rivals: Rivals, found: dict[str, Any], figures: dict[str, str]) -> str:
    title = " against ".join(found["models"]) if len(found["models"]) < 3 else "Comparison"
    return page(
        "comparison.html.j2",
        title=title,
        found=found,
        words=words,
        compared=compared,
        pairs=compared.pair_table(found),
        models=compared.model_table(found),
        figures={name: inline(text) for name, text in figures.items()},
        runs=[_run_row(run) for run in rivals.runs],
    )


def _run_row(run: Any) -> tuple[str, ...]:
    environment = run.environment
    name = run.folder.name if not run.evaluation else f"{run.name} on {run.evaluation}"
    commit = str(environment.get("commit") or "–")[:10]
    return name, run.model, commit, str(environment.get("command") or "–")
