"""What a report is made from: a run folder, or one of its evaluations, as it lies on disk."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from capsmed.errors import CheckpointError
from capsmed.metrics.tables import HELD_OUT, read_table


@dataclass(frozen=True)
class Fold:
    """One trained fold: its record, its history and its stored examples; empty where absent."""

    repeat: int
    seed: int
    fold: int
    record: dict[str, Any]
    history: pd.DataFrame
    examples: dict[str, np.ndarray]


@dataclass(frozen=True)
class RunFiles:
    """The files of a run that a report shows.

    ``held_out`` is the metrics.json of a run's held-out part, None where there is none.
    """

    folder: Path
    name: str
    metrics: dict[str, Any]
    predictions: pd.DataFrame
    cohort: pd.DataFrame
    splits: pd.DataFrame
    config: dict[str, Any]
    config_text: str
    environment: dict[str, Any]
    folds: list[Fold] = field(default_factory=list)
    rivals: dict[str, list[Fold]] = field(default_factory=dict)
    tuned: list[dict[str, Any]] = field(default_factory=list)
    evaluation: str = ""
    held_out: dict[str, Any] | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes in order."""
        return tuple(self.metrics["classes"])

    @property
    def positive(self) -> str:
        """The positive class."""
        return str(self.metrics["positive"])

    @property
    def model(self) -> str:
        """The network's name in predictions.csv."""
        return str(self.metrics["model"].get("name", "model"))

    def of(self, model: str) -> pd.DataFrame:
        """The predictions of one model."""
        return self.predictions[self.predictions["model"] == model]


def read_run(run: Path, evaluation: Path | None = None) -> RunFiles:
    """Read a run folder, or one of its ``evaluations/<name>`` folders (alone or as the second).

    Raises:
        CheckpointError: a file that every finished run has is missing or damaged.
    """
    run = Path(run)
    if evaluation is None and run.parent.name == "evaluations":
        run, evaluation = run.parent.parent, run
    folder = Path(evaluation) if evaluation is not None else run
    if not folder.is_dir():
        raise CheckpointError(
            f"{folder}: expected a run folder or one of its evaluations, got no such folder; "
            "give the folder that `capsmed train` or `capsmed evaluate` has written"
        )
    config_text = _text(run / "config.yaml")
    config = _config(run / "config.yaml", config_text)
    cohort = folder / "cohort.csv"
    return RunFiles(
        folder=folder,
        name=str(config.get("name", run.name)),
        metrics=_metrics(folder / "metrics.json"),
        predictions=_table(folder / "predictions.csv"),
        cohort=_table(cohort if cohort.exists() else run / "cohort.csv"),
        splits=_table(run / "splits.csv") if evaluation is None else pd.DataFrame(),
        config=config,
        config_text=config_text,
        environment=read_json(run / "environment.json"),
        folds=_folds(run) if evaluation is None else [],
        rivals=_rivals(run) if evaluation is None else {},
        tuned=_tuned(run),
        evaluation="" if evaluation is None else folder.name,
        held_out=read_held_out(run) if evaluation is None else None,
    )


def read_held_out(run: Path) -> dict[str, Any] | None:
    """The metrics of a run's held-out part; None where it has none.

    Raises:
        CheckpointError: they are damaged.
    """
    path = run / "evaluations" / HELD_OUT / "metrics.json"
    return _metrics(path) if path.exists() else None


def _config(path: Path, text: str) -> dict[str, Any]:
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise CheckpointError(_unreadable(path)) from error
    if not isinstance(content, dict):
        raise CheckpointError(_unreadable(path))
    return content


def _rivals(run: Path) -> dict[str, list[Fold]]:
    """The folds of each baseline that was trained."""
    return {folder.name: _folds(folder) for folder in sorted((run / "baselines").glob("*"))}


def _tuned(run: Path) -> list[dict[str, Any]]:
    """What the searches for hyper-parameters have chosen, by model, repeat and fold."""
    found = [read_json(path) for path in (run / "tuning").glob("*/*/*/chosen.json")]
    return sorted(found, key=lambda each: (each["model"], each["repeat"], each["fold"]))


def _folds(run: Path) -> list[Fold]:
    folders = sorted(run.glob("repeat-*/seed-*/fold-*"), key=_numbers)
    return [_fold(folder) for folder in folders if folder.is_dir()]


def _numbers(folder: Path) -> tuple[int, ...]:
    return tuple(int(part.rsplit("-", 1)[1]) for part in folder.parts[-3:])


def _fold(folder: Path) -> Fold:
    record = folder / "fold.json"
    history = folder / "history.csv"
    examples = folder / "examples.npz"
    repeat, seed, number = _numbers(folder)
    return Fold(
        repeat,
        seed,
        number,
        record=read_json(record) if record.exists() else {},
        history=_history(history) if history.exists() else pd.DataFrame(),
        examples=read_arrays(examples) if examples.exists() else {},
    )


def _history(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path).apply(pd.to_numeric, errors="coerce")
    except ValueError as error:
        raise CheckpointError(_unreadable(path)) from error


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz file of a run.

    Raises:
        CheckpointError: it is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise CheckpointError(
            f"{path}: expected pictures of a finished run, got none that can be read; delete this "
            "file, and the report goes without them"
        ) from error


def _table(path: Path) -> pd.DataFrame:
    try:
        return read_table(path)
    except (OSError, ValueError) as error:
        raise CheckpointError(_unreadable(path)) from error


def read_json(path: Path) -> dict[str, Any]:
    """The content of a JSON file of a run.

    Raises:
        CheckpointError: it is missing or damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(_unreadable(path)) from error


def _metrics(path: Path) -> dict[str, Any]:
    content = read_json(path)
    if not {"classes", "positive", "model", "baselines"} <= content.keys():
        raise CheckpointError(_unreadable(path))
    return content


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise CheckpointError(_unreadable(path)) from error


def _unreadable(path: Path) -> str:
    return (
        f"{path}: expected this file of a finished run, got none that can be read; "
        "finish the run with `capsmed train --resume RUN`; if it is finished, delete the damaged "
        "file's folder of a fold, or write the results again with `capsmed evaluate RUN`"
    )
