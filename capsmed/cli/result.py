"""The result of a run, printed from its metrics.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from capsmed.errors import CheckpointError

if TYPE_CHECKING:
    from capsmed.config import Experiment


def is_finished(run: Path, experiment: Experiment) -> bool:
    """Whether ``run`` has all results of exactly this experiment, none of them damaged."""
    files = [run / n for n in ("config.yaml", "metrics.json", "report.html", "splits.csv")]
    if experiment.split.held_out.asked:
        from capsmed.metrics.tables import HELD_OUT

        own = run / "evaluations" / HELD_OUT
        files += [own / name for name in ("metrics.json", "networks.json", "report.html")]
    folds = [p.parent for p in run.rglob("checkpoints") if "tuning" not in p.relative_to(run).parts]
    if not all(file.is_file() for file in [*files, *(fold / "fold.json" for fold in folds)]):
        return False
    if not _is_json(files[1]) or not _all_chosen(run, experiment):
        return False
    from capsmed import config

    return config.is_of(run, experiment)


def _all_chosen(run: Path, experiment: Experiment) -> bool:
    """Whether what each fold's search chose is there."""
    from capsmed.engines.fits import list_fits
    from capsmed.metrics.tables import read_table

    fits = list_fits(run, experiment, read_table(run / "splits.csv"))
    return all((fit.tuning / "chosen.json").exists() for fit in fits if fit.tuning is not None)


def _is_json(path: Path) -> bool:
    try:
        return bool(json.loads(path.read_text(encoding="utf-8")))
    except ValueError:
        return False


def show(run: Path) -> None:
    """Print metrics with their intervals, the network beside its baselines, and the report's path.

    Raises:
        CheckpointError: the run has no metrics that can be read.
    """
    from rich.console import Console

    from capsmed.report import console_table
    from capsmed.report.run import read_held_out

    try:
        metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{run}: expected metrics.json of a finished run, got none that can be read; "
            f"finish it with `capsmed train --resume {run}`"
        ) from error
    console = Console()
    if not console.is_terminal:
        console = Console(width=120)
    console.print(console_table(metrics, read_held_out(run)))
    if (run / "report.html").is_file():
        console.print(f"report: {run / 'report.html'}", highlight=False, soft_wrap=True)


def show_chosen(run: Path) -> None:
    """Print what the searches of a run have chosen, a line a fold, and the next command."""
    from rich.console import Console
    from rich.table import Table

    from capsmed.engines.tuning.chosen import METRICS, chosen_in, shown

    found = chosen_in(run)
    name = METRICS[found[0].metric] if found else ""
    table = Table("model", "repeat", "fold", "chosen", f"{name} inside", "as configured", "trials")
    for each in found:
        chosen = "\n".join(f"{key}: {value}" for key, value in each.values.items()) or "–"
        scores = [
            "–" if score is None else shown(score, each.metric)
            for score in (each.score, each.configured_score)
        ]
        place = (each.model, str(each.repeat), str(each.fold))
        table.add_row(*place, chosen, *scores, str(each.trials))
    console = Console()
    if not console.is_terminal:
        console = Console(width=120)
    console.print(table)
    console.print(
        f"next: capsmed train --resume {run} trains each fold with its own values",
        highlight=False,
        soft_wrap=True,
    )
