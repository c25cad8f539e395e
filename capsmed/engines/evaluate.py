"""Metrics of a finished run, on its own cohort or on another one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import torch

from capsmed import config
from capsmed.config import Experiment
from capsmed.data.cohort import Cohort
from capsmed.data.patches import PatchSet
from capsmed.data.progress import tell
from capsmed.engines import acceleration, build, components, tabular_baselines
from capsmed.engines.finish import Labels, finish, inner_predictions, write_results
from capsmed.engines.fits import Fit, list_fits
from capsmed.engines.keep import prediction_rows
from capsmed.engines.overlap import Choice, Overlap
from capsmed.engines.predict import predict
from capsmed.engines.ready import computing, device_for, ready, remark
from capsmed.engines.run_folder import RunFolder
from capsmed.engines.start import describe_cases
from capsmed.engines.tuning.chosen import of_fold
from capsmed.errors import CheckpointError, ConfigError, DataError
from capsmed.handlers.checkpoint import load_weights
from capsmed.networks import TrainingWrapper

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
    patches = PatchSet.load(
        other,
        other.included,
        experiment.patch,
        config.Augmentation(),
        progress=True,
        on_bad=experiment.data.on_bad_case,
    )
    tell(patches.remarks())
    other = other.exclude(patches.excluded)
    predictions = _predict(
        experiment, labels, fits, other.included, patches, seen.test_folds, where, precision
    )
    salt = str(folder.read_table("private/salt.csv")["salt"][0])
    cases = describe_cases(other, patches, salt)
    if not seen.test_folds:
        # fitted on all folds, these models would have seen the patients kept out of fold
        told = (other, patches, cases)
        inside = inner_predictions([fit.folder for fit in fits])
        rivals = tabular_baselines.predictions(
            folder, experiment, labels.classes, predictions, inside, told
        )
        predictions = pd.concat([predictions, *filter(len, rivals)], ignore_index=True)
    result.write_table("cohort.csv", cases)
    note = "; ".join(part for part in (other.note, seen.note, remark(precision, trained)) if part)
    found = Labels(labels.classes, labels.positive, note)
    evaluation = experiment.evaluation
    asked = bool(evaluation.subgroups)
    cells = tabular_baselines.cells_of(experiment, other) if asked else None
    columns = tabular_baselines.groups(experiment, cases, cells)
    write_results(result, predictions, cases, evaluation, found, columns=columns)
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


def _predict(
    experiment: Experiment,
    labels: Labels,
    fits: list[Fit],
    rows: pd.DataFrame,
    patches: PatchSet,
    test_folds: Mapping[str, set[tuple[int, int]]],
    device: torch.device,
    precision: str,
) -> pd.DataFrame:
    """Average the folds' probabilities, and thresholds, for each model, repeat and seed."""
    groups: dict[tuple[str, int, int], list[Fit]] = {}
    for fit in fits:
        groups.setdefault((fit.model, fit.repeat, fit.seed), []).append(fit)
    view = patches.view(np.arange(len(rows)), augment=False, seed_key=())
    shape = (experiment.patch.channels, *experiment.patch.size)
    tables = []
    for (model, repeat, seed), members in groups.items():
        sums, counts = np.zeros((len(rows), len(labels.classes))), np.zeros((len(rows), 1))
        for fit in members:
            here = (repeat, fit.fold)
            may = [here in test_folds.get(case, {here}) for case in rows["case_id"]]
            use = np.array(may, dtype=float)[:, None]
            network = load_network(fit, experiment, labels, device)
            wrapper = ready(network, precision, shape)
            sums += use * predict(
                wrapper,
                view,
                batch_size=max(experiment.training.batch_size, 64),
                device=device,
                precision=computing(precision),
            )
            counts += use
        mean = Fit(model, repeat, seed, 0, Path())
        table = prediction_rows(mean, rows, sums / counts, labels.classes)
        if isinstance(experiment.evaluation.threshold, str):
            table["threshold"] = np.mean([_threshold_of(fit) for fit in members])
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _threshold_of(fit: Fit) -> float:
    return float(RunFolder(fit.folder).read_json("fold.json")["threshold"])


def load_network(
    fit: Fit, experiment: Experiment, labels: Labels, device: torch.device
) -> TrainingWrapper:
    """Return the network that a finished training chose, ready to predict.

    Raises:
        CheckpointError: its checkpoint is damaged or of another architecture.
    """
    experiment = of_fold(experiment, fit)
    component, _ = build.specification(experiment, fit.model)
    network = build.build_network(component, experiment, len(labels.classes))
    best = fit.folder / "checkpoints" / "best.pt"
    use_best = experiment.training.select == "best" and best.exists()
    load_weights(network, best if use_best else fit.folder / "checkpoints" / "last.pt")
    return TrainingWrapper(network).to(device).eval()
