"""MLflow: one run for each training, below one that holds the pooled metrics."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ignite.engine import Engine
from monai.handlers import MLFlowHandler

from capsmed import atomic
from capsmed.config import Experiment
from capsmed.config.parse import parse
from capsmed.engines.fits import Fit
from capsmed.engines.run_folder import RunFolder
from capsmed.errors import ConfigError, TrainingError

RECORD = "mlflow.json"  # the id of the MLflow run that a folder's metrics go to
STORE = "mlflow.db"
_BATCH = 100  # parameters that MLflow takes at once


def check() -> None:
    """Refuse an environment without MLflow or its database.

    Raises:
        ConfigError: a package is missing.
    """
    try:
        import alembic  # noqa: F401  # mlflow-skinny has no database of its own
        import mlflow  # noqa: F401
        import sqlalchemy  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"tracking.to: expected the package {error.name} for 'mlflow', got none; "
            "pip install 'capsmed[mlflow]'"
        ) from error


@contextmanager
def tracked(
    trainer: Engine, fit: Fit, experiment: Experiment, rows: Sequence[Mapping[str, Any]]
) -> Iterator[None]:
    """Log each epoch of a training to its own MLflow run; a resumed training goes on in it.

    Epochs that an earlier sitting has finished but not logged are logged first; none is logged
    twice.

    Raises:
        TrainingError: MLflow's store cannot be written.
    """
    logged: set[int] = set()
    with _store_told():
        handler = _handler(fit.run, experiment, lambda engine, epoch: epoch not in logged)
        parent = _open(handler, fit.run, fit.run.name, fit.run, {})
        place = {name: getattr(fit, name) for name in ("model", "repeat", "seed", "fold")}
        name = f"{fit.run.name} {fit.model} repeat {fit.repeat} seed {fit.seed} fold {fit.fold}"
        tags = {**place, "mlflow.parentRunId": parent.info.run_id}
        handler.cur_run = _open(handler, fit.folder, name, fit.run, tags)
        logged |= _catch_up(handler, rows)
        handler.attach(trainer)
        try:
            yield
        except BaseException as error:
            stopped = isinstance(error, KeyboardInterrupt)
            handler.run_finish_status = "KILLED" if stopped else "FAILED"
            handler.client.set_terminated(parent.info.run_id, handler.run_finish_status)
            raise
        finally:
            handler.close()


def log_result(run: Path, experiment: Experiment, scores: Mapping[str, float]) -> None:
    """Log the pooled metrics to the MLflow run above those of the trainings, and finish it.

    Raises:
        TrainingError: MLflow's store cannot be written.
    """
    with _store_told():
        handler = _handler(run, experiment)
        handler.cur_run = _open(handler, run, run.name, run, {})
        known = handler.cur_run.data.metrics
        new = {name: value for name, value in scores.items() if known.get(name) != value}
        _log(handler, new, step=0)
        handler.close()


def log_report(run: Path, experiment: Experiment) -> None:
    """Add ``report.html`` to the MLflow run of the pooled metrics.

    Raises:
        TrainingError: MLflow's store cannot be written.
    """
    with _store_told():
        handler = _handler(run, experiment)
        handler.cur_run = _open(handler, run, run.name, run, {})
        handler.client.log_artifact(handler.cur_run.info.run_id, str(run / "report.html"))
        handler.close()


@contextmanager
def _store_told() -> Iterator[None]:
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise TrainingError(
            f"tracking.to: expected a store that MLflow can write, got: {reason}; set "
            "MLFLOW_TRACKING_URI to another, or go on without by --set 'tracking.to=[]'"
        ) from error


def _handler(run: Path, experiment: Experiment, epoch_log: Any = True) -> Any:
    """MONAI's handler for the store of ``run``: a database beside it, or the environment's.

    Its type is hidden, as MONAI annotates its experiment and its run as None.
    """
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)  # tells of its tables
    folder = run.resolve().parent
    uri = os.environ.get("MLFLOW_TRACKING_URI")
    location = None if uri else (folder / "mlruns").as_uri()
    try:
        handler: Any = MLFlowHandler(
            tracking_uri=uri or f"sqlite:///{(folder / STORE).as_posix()}",
            iteration_log=False,
            epoch_log=epoch_log,
            experiment_name=experiment.tracking.experiment,
        )
    except ValueError as error:  # a folder as store, which MLflow has given up
        raise ConfigError(f"MLFLOW_TRACKING_URI: {error}") from error
    client, name = handler.client, experiment.tracking.experiment
    if client.get_experiment_by_name(name) is None:
        client.create_experiment(name, artifact_location=location)
    handler.experiment = client.get_experiment_by_name(name)
    if handler.experiment.lifecycle_stage != "active":
        raise ConfigError(
            f"tracking.experiment: expected an experiment in use, got {name!r}, which is deleted "
            "in MLflow; restore it there, or choose another"
        )
    return handler


def _open(handler: Any, folder: Path, name: str, run: Path, tags: Mapping[str, Any]) -> Any:
    """The MLflow run that ``folder`` names, in the state RUNNING; a new one where there is none."""
    client, record = handler.client, folder / RECORD
    known = _known(handler, record)
    if known is not None:
        client.update_run(known.info.run_id, status="RUNNING")
        return known
    made = RunFolder(run).read_json("environment.json")
    texts = {"run": run.name, "capsmed": made["capsmed"], "commit": made["commit"], **tags}
    created = client.create_run(
        handler.experiment.experiment_id,
        run_name=name,
        tags={key: str(value) for key, value in texts.items() if value is not None},
    )
    atomic.write_json(record, {"schema_version": 1, "run_id": created.info.run_id})
    _log_parameters(handler, created.info.run_id, run)
    return created


def _known(handler: Any, record: Path) -> Any | None:
    """The MLflow run of an earlier sitting; None in another store or where it was deleted."""
    from mlflow.exceptions import MlflowException

    if not record.exists():
        return None
    try:
        known = handler.client.get_run(json.loads(record.read_text(encoding="utf-8"))["run_id"])
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
    return known if known.info.lifecycle_stage == "active" else None


def _log_parameters(handler: Any, run_id: str, run: Path) -> None:
    """Log the run's ``config.yaml``, which names no folder; ``output`` may, and is left out."""
    from mlflow.entities import Param

    path = run / "config.yaml"
    content = parse(path.read_text(encoding="utf-8"), str(path)).data
    content.pop("output", None)
    params = [Param(key, str(value)) for key, value in _flat(content)]
    for start in range(0, len(params), _BATCH):
        handler.client.log_batch(run_id, params=params[start : start + _BATCH])


def _flat(section: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in section.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _catch_up(handler: Any, rows: Sequence[Mapping[str, Any]]) -> set[int]:
    """Log the epochs of ``rows`` that are not yet; return all that are."""
    history = handler.client.get_metric_history(handler.cur_run.info.run_id, "train_loss")
    logged = {metric.step for metric in history}
    for row in rows:
        epoch = int(row["epoch"])
        if epoch not in logged:
            values = {k: v for k, v in row.items() if k not in ("epoch", "schema_version")}
            _log(handler, {k: float(v) for k, v in values.items() if v != ""}, epoch)
            logged.add(epoch)
    return logged


def _log(handler: Any, values: Mapping[str, float], step: int) -> None:
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    metrics = [Metric(name, value, now, step) for name, value in values.items()]
    handler.client.log_batch(handler.cur_run.info.run_id, metrics=metrics)
