"""What a finished training leaves in its fold's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ignite.distributed as idist
import numpy as np
import pandas as pd
import torch

from capsmed import atomic
from capsmed.config import Experiment
from capsmed.data.patches import PatchView
from capsmed.engines import diverged
from capsmed.engines.cuts import keep_cuts
from capsmed.engines.fit import Fitted
from capsmed.engines.fits import Fit
from capsmed.engines.learning import learning_facts
from capsmed.engines.predict import choose_examples, predict, reconstruct
from capsmed.engines.run_data import RunData
from capsmed.engines.run_folder import read_table, write_table
from capsmed.metrics.chosen_inside import chosen_threshold


def keep(
    fit: Fit, experiment: Experiment, data: RunData, fitted: Fitted, device: torch.device
) -> dict[str, Any]:
    """Write a fold's predictions, its pictures and, last, the ``fold.json`` that marks it finished.

    Returns:
        What it has learnt: the facts that `capsmed.metrics.diagnosis` judges.
    """
    test, inner = data.positions(fit, "test"), data.positions(fit, "inner")
    view = data.patches.view(test, augment=False, seed_key=fit.key)
    values = _predicted(view, experiment, fitted, device)
    diverged.check_predictions(fit.folder, values)
    inside = None
    if len(inner):
        inner_view = data.patches.view(inner, augment=False, seed_key=fit.key)
        inside = _predicted(inner_view, experiment, fitted, device)
    learning = learning_facts(fit, experiment, data, fitted, device, values)
    if idist.get_rank() == 0:
        cases, classes = data.cohort.included, data.cohort.classes
        rows = cases.iloc[test]
        threshold = _threshold(experiment, data, inner, inside)
        table = prediction_rows(fit, rows, values, classes)
        if isinstance(experiment.evaluation.threshold, str):
            table["threshold"] = threshold
        write_table(fit.folder / "predictions.csv", table)
        if inside is not None:
            table = prediction_rows(fit, cases.iloc[inner], inside, classes)
            write_table(fit.folder / "inner.csv", table)
        _keep_examples(fit, rows, view, values, fitted, device)
        true = values[np.arange(len(rows)), rows["target"].to_numpy(int)]
        case_ids = rows["case_id"].to_numpy(str)
        keep_cuts(fit.folder, case_ids, view, true, fitted.wrapper, device)
        counts = {
            f"n_{part}": len(data.positions(fit, part)) for part in ("train", "inner", "test")
        }
        record = {
            **_fold_facts(fit, fitted),
            **_told(experiment, threshold),
            **counts,
            "learning": learning,
        }
        atomic.write_json(fit.folder / "fold.json", record)
    idist.barrier()
    return learning


def _predicted(
    view: PatchView, experiment: Experiment, fitted: Fitted, device: torch.device
) -> np.ndarray:
    training = experiment.training
    return predict(
        fitted.wrapper,
        view,
        batch_size=max(training.batch_size, 64),
        device=device,
        precision=training.precision,
    )


def _threshold(
    experiment: Experiment, data: RunData, inner: np.ndarray, inside: np.ndarray | None
) -> float:
    """The threshold of the fold: what the configuration says, or chosen on the inner part."""
    asked = experiment.evaluation.threshold
    if not isinstance(asked, str) or inside is None:
        return float(asked) if not isinstance(asked, str) else 0.5
    positive = data.cohort.classes.index(data.cohort.positive)
    true = data.patches.targets.numpy()[inner] == positive
    wanted = experiment.evaluation.sensitivity if asked == "sensitivity" else None
    return chosen_threshold(inside[:, positive], true, wanted)


def _told(experiment: Experiment, threshold: float) -> dict[str, Any]:
    asked = experiment.evaluation
    ways = {
        "youden": "largest sensitivity plus specificity on the inner part",
        "sensitivity": f"sensitivity {asked.sensitivity:g} on the inner part",
    }
    return {"threshold": threshold, "threshold_method": ways.get(str(asked.threshold), "fixed")}


def _fold_facts(fit: Fit, fitted: Fitted) -> dict[str, Any]:
    history = read_table(fit.folder / "history.csv")
    return {
        "schema_version": 1,
        "model": fit.model,
        "repeat": fit.repeat,
        "seed": fit.seed,
        "fold": fit.fold,
        "recalibration": None,
        "parameters": fitted.parameters,
        "frozen": fitted.frozen,
        "weights": fitted.taken.record() if fitted.taken else None,
        "stopped_epoch": fitted.stopped_epoch,
        "chosen_epoch": fitted.chosen_epoch,
        "seconds": round(float(history["seconds"].astype(float).sum()), 1),
    }


def prediction_rows(
    fit: Fit, rows: pd.DataFrame, values: np.ndarray, classes: tuple[str, ...]
) -> pd.DataFrame:
    """Return the rows of ``predictions.csv`` for one training, one row a case."""
    table = pd.DataFrame({"case_id": rows["case_id"].to_numpy(), "label": rows["label"].to_numpy()})
    for position, name in enumerate(("model", "repeat", "seed", "fold")):
        table.insert(position, name, getattr(fit, name))
    for position, name in enumerate(classes):
        table[f"prob_{name}"] = values[:, position]
    return table


def _keep_examples(
    fit: Fit,
    rows: pd.DataFrame,
    view: torch.utils.data.Dataset,
    values: np.ndarray,
    fitted: Fitted,
    device: torch.device,
) -> None:
    chosen = choose_examples(rows["target"].tolist())
    images = torch.stack([view[position]["image"] for position in chosen])
    arrays = {
        "image": images.numpy(),
        "case_id": rows["case_id"].iloc[chosen].to_numpy(dtype=str),
        "label": rows["label"].iloc[chosen].to_numpy(dtype=str),
        "prob": values[chosen],
    }
    reconstruction = reconstruct(fitted.wrapper, images, device)
    if reconstruction is not None:
        arrays["reconstruction"] = reconstruction

    def save(path: Path) -> None:
        with open(path, "wb") as file:
            np.savez_compressed(file, **arrays)

    atomic.write(fit.folder / "examples.npz", save)
