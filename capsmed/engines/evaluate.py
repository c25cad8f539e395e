"""Metrics of a finished run, on its own cohort or on another one."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Literal

from capsmed import config
from capsmed.config import Experiment
from capsmed.data.cohort import Cohort
from capsmed.engines import acceleration, components
from capsmed.engines.evaluation import predict_by_folds, write_evaluation
from capsmed.engines.finish import Labels, finish
from capsmed.engines.fits import Fit, list_fits
from capsmed.engines.overlap import Choice, Overlap
from capsmed.engines.ready import device_for, remark
from capsmed.engines.run_data import Cases, load_patches
from capsmed.engines.run_folder import RunFolder
from capsmed.errors import CheckpointError, ConfigError, DataError
from capsmed.metrics.tables import HELD_OUT

Precision = Literal["float32", "bfloat16", "int8"]


def evaluate(
    run: Path,
    *,
    cohort: str | None = None,
    overlap: Choice | None = None,
    name: str | None = None,
    frame: Literal["RAS", "LPS"] | None = None,
    first_pixel: Literal[0, 1] | None = None,
    encoding: str | None = None,
    data_root: Path | None = None,
    device: str = "auto",
    precision: Precision | None = None,
    allow_import: Collection[str] = (),
) -> Path:
    """Compute a run's metrics anew, or let its networks predict another cohort.

    Without ``cohort`` the pooled predictions of the run itself are evaluated; no image is read.
    With it, every case is predicted by the mean over the folds' networks (for each repeat and
    seed), and the results go to ``evaluations/<name>/``.

    Args:
        run: a finished run folder.
        cohort: a cohort table or whole-set file, with the columns and classes of the run's.
        overlap: what to do with patients that the run has trained on: ``drop`` their cases, or
            predict them ``out-of-fold`` by the networks that have not seen them.
        name: of the evaluation; default the cohort file's stem.
        frame: of the other cohort's points; it has no default, as each table has its own.
        first_pixel: number of the first column and row in the other table, where it has them.
        encoding: of the other cohort's text; default UTF-8.
        data_root: folder that the table's image paths are relative to.
        device: where to compute.
        precision: of the networks that predict the other cohort; None for that of the training.
            ``int8`` computes the convolutions in 8-bit integers, on the CPU. Where it is not that
            of the training, the result says so.
        allow_import: packages that dotted component names may come from.

    Returns:
        The folder that holds ``metrics.json`` and ``predictions.csv``.

    Raises:
        CheckpointError: the run is unfinished or damaged.
        ConfigError: network or machine do not allow the precision, or nothing is predicted in it.
        DataError: the cohort cannot be used, or overlaps and ``overlap`` is not given.
    """
    folder = RunFolder(Path(run))
    experiment = config.load_run(folder.path).experiment
    components.check_components(experiment, allow_import)
    fits = find_fits(folder, experiment)
    if cohort is None:
        if precision is not None:
            raise ConfigError(
                f"--precision: expected another cohort to predict, got {precision} without one; "
                "add --cohort"
            )
        finish(folder, experiment, Labels.read(folder), [fit.folder for fit in fits])
        return folder.path
    name = name or Path(cohort).stem
    if name in (".", "..") or Path(name).name != name:
        raise DataError(f"--name: expected a plain name for the evaluation, got {name!r}")
    if name == HELD_OUT:
        raise DataError(
            f"--name: expected another name than {HELD_OUT!r}, which is kept for the run's own "
            "split.held_out; give this evaluation one with --name"
        )
    result = RunFolder(folder.path / "evaluations" / name)
    if result.path.exists():
        raise DataError(
            f"{result.path}: expected a new evaluation, got one that is there already; "
            "give this one another name with --name"
        )
    trained = experiment.training.precision
    precision = precision or trained
    where = device_for(device, precision)
    acceleration.prepare(experiment.training, where)
    labels = Labels.read(folder)
    data = experiment.data.model_copy(
        update={
            "cohort": cohort,
            "classes": labels.classes,
            "frame": frame,
            "first_pixel": first_pixel,
            "encoding": encoding or "utf-8",
            "limit": None,
        }
    )
    other = Cohort.read(data, Path.cwd(), data_root=data_root)
    seen = Overlap.find(folder, other, overlap)
    other = other.exclude(seen.dropped)
    cases = Cases(*load_patches(experiment, other))
    predictions = predict_by_folds(
        experiment, labels, fits, cases, where, precision, seen.test_folds
    )
    note = "; ".join(part for part in (other.note, seen.note, remark(precision, trained)) if part)
    told = Labels(labels.classes, labels.positive, note)
    # fitted on all folds, the baselines would have seen the patients kept out of fold
    rivals = not seen.test_folds
    write_evaluation(folder, result, experiment, told, fits, cases, predictions, rivals)
    return result.path


def find_fits(run: RunFolder, experiment: Experiment) -> list[Fit]:
    """Return the run's trainings in order.

    Raises:
        CheckpointError: some have not finished.
    """
    fits = list_fits(run.path, experiment, run.read_table("splits.csv"))
    unfinished = [fit for fit in fits if not fit.finished]
    if unfinished:
        raise CheckpointError(
            f"{run.path}: expected a finished run, got {len(unfinished)} of {len(fits)} trainings "
            f"unfinished; go on with `capsmed train --resume {run.path}`"
        )
    return fits
