"""Cases that a run has not tested, predicted by its networks and baselines: an evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from capsmed.config import Experiment
from capsmed.engines import build, tabular_baselines
from capsmed.engines.finish import Labels, inner_predictions, write_results
from capsmed.engines.fits import Fit
from capsmed.engines.keep import prediction_rows
from capsmed.engines.predict import predict
from capsmed.engines.ready import computing, ready
from capsmed.engines.run_data import Cases
from capsmed.engines.run_folder import RunFolder
from capsmed.engines.start import describe_cases
from capsmed.engines.tuning.chosen import of_fold
from capsmed.handlers.checkpoint import load_weights
from capsmed.networks import TrainingWrapper

TestFolds = Mapping[str, set[tuple[int, int]]]


def predict_by_folds(
    experiment: Experiment,
    labels: Labels,
    fits: list[Fit],
    other: Cases,
    device: torch.device,
    precision: str,
    test_folds: TestFolds | None = None,
) -> pd.DataFrame:
    """Average the folds' probabilities, and thresholds, for each model, repeat and seed.

    Args:
        experiment: the run's configuration.
        labels: what its probabilities mean.
        fits: its finished trainings.
        other: the cases to predict.
        device: where to compute.
        precision: of the networks.
        test_folds: by case_id, the only (repeat, fold) whose networks may predict it.

    Returns:
        Rows of predictions.csv; under torchrun in every process.
    """
    rows, only = other.cohort.included, test_folds or {}
    groups: dict[tuple[str, int, int], list[Fit]] = {}
    for fit in fits:
        groups.setdefault((fit.model, fit.repeat, fit.seed), []).append(fit)
    view = other.patches.view(np.arange(len(rows)), augment=False, seed_key=())
    shape = (experiment.patch.channels, *experiment.patch.size)
    tables = []
    for (model, repeat, seed), members in groups.items():
        sums, counts = np.zeros((len(rows), len(labels.classes))), np.zeros((len(rows), 1))
        for fit in members:
            here = (repeat, fit.fold)
            may = [here in only.get(case, {here}) for case in rows["case_id"]]
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


def write_evaluation(
    run: RunFolder,
    result: RunFolder,
    experiment: Experiment,
    labels: Labels,
    fits: list[Fit],
    other: Cases,
    predictions: pd.DataFrame,
    rivals: bool = True,
) -> None:
    """Write an evaluation's case table, predictions and metrics.

    Args:
        run: the run folder, whose salt makes the pseudonyms.
        result: the evaluation's folder.
        experiment: the run's configuration.
        labels: classes, positive class, and what must be said of the result.
        fits: the run's trainings.
        other: the cases.
        predictions: of the networks.
        rivals: whether the baselines from the table and the lesion, each fitted on all that the
            folds have learnt from, predict the cases, too.
    """
    salt = str(run.read_table("private/salt.csv")["salt"][0])
    cases = describe_cases(other.cohort, other.patches, salt)
    if rivals:
        told = (other.cohort, other.patches, cases)
        inner = inner_predictions([fit.folder for fit in fits])
        found = tabular_baselines.predictions(
            run, experiment, labels.classes, predictions, inner, told
        )
        predictions = pd.concat([predictions, *filter(len, found)], ignore_index=True)
    result.write_table("cohort.csv", cases)
    asked = bool(experiment.evaluation.subgroups)
    cells = tabular_baselines.other_cells(experiment, other.cohort) if asked else None
    columns = tabular_baselines.groups(experiment, cases, cells)
    write_results(result, predictions, cases, experiment.evaluation, labels, columns=columns)


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
    load_weights(network, chosen_checkpoint(fit, experiment))
    return TrainingWrapper(network).to(device).eval()


def chosen_checkpoint(fit: Fit, experiment: Experiment) -> Path:
    """The file of the weights by which a finished training predicts."""
    best = fit.folder / "checkpoints" / "best.pt"
    select = of_fold(experiment, fit).training.select
    use_best = select == "best" and best.exists()
    return best if use_best else fit.folder / "checkpoints" / "last.pt"
