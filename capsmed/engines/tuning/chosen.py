"""What a search has chosen for each fold, and the fold's experiment with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capsmed import config
from capsmed.config import Experiment
from capsmed.engines.fits import Fit
from capsmed.engines.run_folder import RunFolder
from capsmed.errors import CheckpointError

FILE = "chosen.json"
#: Names of what trials are ranked by.
METRICS = {"auc": "AUC", "log_loss": "log loss"}


@dataclass(frozen=True)
class Chosen:
    """The values that one search has chosen.

    Attributes:
        model: the network or a trained baseline.
        repeat: of the folds.
        fold: whose training part was searched.
        values: by key; empty where nothing of the space changes the model.
        score: of the best trial, the mean over its inner folds; None where nothing was tried.
        configured_score: of the configured values; None where they were not tried or failed.
        metric: of the scores; of ``log_loss`` minus it, so that higher is better.
        trials: how many were tried, and how many of them were pruned or failed.
        pruned: see ``trials``.
        failed: see ``trials``.
    """

    model: str
    repeat: int
    fold: int
    values: Mapping[str, Any]
    score: float | None
    configured_score: float | None
    metric: str
    trials: int
    pruned: int
    failed: int


def read_chosen(folder: Path) -> Chosen:
    """What the search in ``folder`` has chosen.

    Raises:
        CheckpointError: it is unfinished or its file damaged.
    """
    try:
        content = RunFolder(folder).read_json(FILE)
        content.pop("schema_version", None)
        found = Chosen(**content)
        found.values.keys()
        return found
    except (TypeError, AttributeError, CheckpointError) as error:
        raise CheckpointError(
            f"{folder / FILE}: expected what a search has chosen, got no such file or something "
            "else; delete it where it is there, and go on with `capsmed train --resume RUN`"
        ) from error


def chosen_in(run: Path) -> list[Chosen]:
    """Everything that the searches of a run have chosen so far, in order."""
    found = [read_chosen(path.parent) for path in (run / "tuning").glob(f"*/*/*/{FILE}")]
    return sorted(found, key=lambda each: (each.model, each.repeat, each.fold))


def of_fold(experiment: Experiment, fit: Fit) -> Experiment:
    """The experiment that this training is of: the run's, with what was chosen for the fold.

    Raises:
        CheckpointError: the search is unfinished or its file damaged.
    """
    if fit.tuning is None:
        return experiment
    return config.changed(experiment, read_chosen(fit.tuning).values)


def shown(score: float, metric: str) -> str:
    """A score as its metric is usually told: a log loss is better low.

    >>> shown(0.9, "auc"), shown(-0.5, "log_loss")
    ('0.900', '0.500')
    """
    return f"{-score if metric == 'log_loss' else score:.3f}"
