"""The held-out part, predicted once: after the last fold, by all of them together."""

from __future__ import annotations

import hashlib

import ignite.distributed as idist
import torch

from capsmed.config import Experiment
from capsmed.data.progress import tell
from capsmed.engines.evaluation import chosen_checkpoint, predict_by_folds, write_evaluation
from capsmed.engines.finish import Labels
from capsmed.engines.fits import Fit
from capsmed.engines.run_data import Cases
from capsmed.engines.run_folder import RunFolder
from capsmed.errors import CheckpointError
from capsmed.metrics.tables import HELD_OUT

#: Written last: by which networks and of which cases the evaluation is.
NETWORKS = "networks.json"


def evaluate_held_out(
    run: RunFolder,
    experiment: Experiment,
    labels: Labels,
    fits: list[Fit],
    cases: Cases,
    device: torch.device,
) -> None:
    """Write ``evaluations/held_out/`` as ``capsmed evaluate --cohort`` writes another cohort's.

    It is left as it is where these very networks have predicted these very cases before. To be
    called by every process.

    Args:
        run: the run folder, its folds finished.
        experiment: its configuration.
        labels: what its probabilities mean.
        fits: all of its trainings.
        cases: those held out.
        device: where to compute.
    """
    result = RunFolder(run.path / "evaluations" / HELD_OUT)
    digest = _digest(experiment, fits, cases)
    known = _known(result)
    idist.barrier()  # all have looked before the first one writes
    if known == digest:
        return
    precision = experiment.training.precision
    predictions = predict_by_folds(experiment, labels, fits, cases, device, precision)
    if idist.get_rank() == 0:
        if known is not None:
            tell([f"{result.path}: predicted again, because the folds' networks have changed"])
        write_evaluation(run, result, experiment, labels, fits, cases, predictions)
        result.write_json(NETWORKS, {"digest": digest})


def _digest(experiment: Experiment, fits: list[Fit], cases: Cases) -> str:
    """Names the weights that predict and the cases predicted."""
    digest = hashlib.sha256("\n".join(cases.patches.case_ids).encode())
    for fit in fits:
        with open(chosen_checkpoint(fit, experiment), "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _known(result: RunFolder) -> str | None:
    """The digest of a finished evaluation; None where there is none that can be read."""
    try:
        for name in ("cohort.csv", "predictions.csv"):
            result.read_table(name)
        result.read_json("metrics.json")
        return str(result.read_json(NETWORKS).get("digest"))
    except CheckpointError:
        return None
