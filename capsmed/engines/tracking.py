"""Where a training can be watched beside its history.csv: TensorBoard, MLflow, a CSV for MONAI."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ignite.distributed as idist
from ignite.engine import Engine, Events
from monai.handlers import TensorBoardStatsHandler
from monai.handlers.utils import write_metrics_reports

from capsmed import atomic
from capsmed.config import Experiment
from capsmed.engines import mlflow_runs
from capsmed.engines.fits import Fit
from capsmed.engines.run_folder import RunFolder


def check(experiment: Experiment) -> None:
    """Refuse a tracking that cannot be done, before any image is read.

    Raises:
        ConfigError: MLflow is asked for and absent.
    """
    if "mlflow" in experiment.tracking.to:
        mlflow_runs.check()


@contextmanager
def tracked(
    trainer: Engine, fit: Fit, experiment: Experiment, rows: Sequence[Mapping[str, Any]]
) -> Iterator[None]:
    """Let the first process log each epoch's metrics, to all that the configuration names.

    Args:
        trainer: at the end of an epoch its ``state.metrics`` are logged.
        fit: the training.
        experiment: the configuration.
        rows: of ``history.csv``, the epochs of earlier sittings.

    Raises:
        TrainingError: MLflow's store cannot be written.
    """
    if idist.get_rank() != 0:
        yield
        return
    with ExitStack() as stack:
        if "tensorboard" in experiment.tracking.to:
            folder = str(fit.folder / "tensorboard")
            board = TensorBoardStatsHandler(log_dir=folder, iteration_log=False)
            board.attach(trainer)
            stack.callback(board.close)
        if "csv" in experiment.tracking.to:
            trainer.add_event_handler(
                Events.EPOCH_COMPLETED, lambda: _write_csv(fit.folder, trainer.state.metrics)
            )
        if "mlflow" in experiment.tracking.to:
            stack.enter_context(mlflow_runs.tracked(trainer, fit, experiment, rows))
        yield


def track_result(run: Path, experiment: Experiment) -> None:
    """Log the pooled metrics of a run whose trainings are all finished.

    Raises:
        TrainingError: MLflow's store cannot be written.
    """
    scores = flat_scores(RunFolder(run).read_json("metrics.json"))
    if "csv" in experiment.tracking.to:
        _write_csv(run, scores)
    if "mlflow" in experiment.tracking.to:
        mlflow_runs.log_result(run, experiment, scores)


def track_report(run: Path, experiment: Experiment) -> None:
    """Put ``report.html`` beside the pooled metrics in MLflow; it holds nothing private.

    Raises:
        TrainingError: MLflow's store cannot be written.
    """
    if "mlflow" in experiment.tracking.to:
        mlflow_runs.log_report(run, experiment)


def flat_scores(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The scores of a ``metrics.json`` with the ends of their intervals, by flat names.

    A baseline's have its name before them: ``auc``, ``auc_low``, ``auc_high``, ``size_only/auc``.
    """
    models = {"": metrics["model"]}
    models |= {f"{name}/": scores for name, scores in metrics["baselines"].items()}
    ends = {"value": "", "low": "_low", "high": "_high"}
    return {
        f"{before}{name}{end}": float(score[key])
        for before, scores in models.items()
        for name, score in scores.items()
        if isinstance(score, dict)
        for key, end in ends.items()
        if isinstance(score.get(key), int | float)
    }


def _write_csv(folder: Path, metrics: dict[str, Any]) -> None:
    """Write ``metrics.csv`` in the layout of MONAI's MetricsSaver, whole or not at all.

    The handler itself gathers file names of all processes, which a training here has none of.
    """
    with TemporaryDirectory() as scratch:
        write_metrics_reports(scratch, None, metrics, None, None)
        text = Path(scratch, "metrics.csv").read_text(encoding="utf-8")
    atomic.write_text(folder / "metrics.csv", text)
