"""What loading costs in a training step of configs/lung.yaml, and in the start of a run."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from capsmed import config
from capsmed.data.patches import PatchSet
from capsmed.data.sampling import EpochSampler
from capsmed.engines.fit import FoldTrainer
from capsmed.engines.fits import Fit
from capsmed.engines.loaders import build_loader
from capsmed.engines.run_data import RunData, read_data


def measure(rounds: int) -> dict[str, float]:
    """Milliseconds of a step's parts, medians over ``rounds`` epochs taken in turn, and seconds.

    'loading' makes a batch of patches as they are, 'augmentation' is what random changes add to
    that, 'network' is forward, backward and update.
    """
    experiment = config.load(Path("configs/lung.yaml")).experiment
    data = read_data(experiment, Path(), show=False)
    with tempfile.TemporaryDirectory() as folder:
        trainer = FoldTrainer(
            Fit("model", 0, 0, 0, Path(folder)),
            experiment,
            data.cohort.classes,
            data.fold(Fit("model", 0, 0, 0, Path(folder))),
            torch.device("cpu"),
        )
        steps = _steps(trainer, rounds)
        return {**steps, **_starts(data, experiment, Path(folder), rounds)}


def _steps(trainer: FoldTrainer, rounds: int) -> dict[str, float]:
    times: dict[str, list[float]] = {"plain": [], "augmented": [], "network": []}
    view = trainer.data.train
    plain = view.patches.view(view.indices, augment=False, seed_key=view.seed_key)
    sampler = EpochSampler(trainer.data.train_targets.tolist(), (0,), sampling="balanced")
    loader = build_loader(plain, sampler, trainer.experiment.training.batch_size)
    infer = trainer.inferer()
    wrapper = trainer.wrapper.train()
    for _ in range(rounds):
        times["plain"] += [seconds for _, seconds in _batches(loader)]
        for batch, seconds in _batches(trainer.loader):
            started = time.perf_counter()
            trainer.optimizer.zero_grad()
            trainer.loss(infer(batch["image"], wrapper, batch["label"]), batch["label"]).backward()
            trainer.optimizer.step()
            times["network"].append(time.perf_counter() - started)
            times["augmented"].append(seconds)
    middle = {name: 1e3 * statistics.median(values) for name, values in times.items()}
    return {
        "loading_ms": middle["plain"],
        "augmentation_ms": middle["augmented"] - middle["plain"],
        "network_ms": middle["network"],
    }


def _batches(loader: DataLoader) -> Iterator[tuple[Any, float]]:
    """Full batches and the seconds that each took; the first draws the epoch and is left out."""
    batches = iter(loader)
    first = next(batches)
    while True:
        started = time.perf_counter()
        batch = next(batches, None)
        if batch is None:
            return
        if len(batch["label"]) == len(first["label"]):
            yield batch, time.perf_counter() - started


def _starts(
    data: RunData, experiment: config.Experiment, folder: Path, rounds: int
) -> dict[str, float]:
    """Seconds of cutting the whole cohort, from its images and from the cache."""
    times: dict[str, list[float]] = {"cut": [], "cached": []}
    kept = dict(os.environ)
    os.environ["CAPSMED_CACHE"] = str(folder)
    try:
        for gigabytes, name in [("1", ""), *[("0", "cut"), ("1", "cached")] * rounds]:
            os.environ["CAPSMED_CACHE_GB"] = gigabytes
            started = time.perf_counter()
            cases = data.cohort.included
            PatchSet.load(data.cohort, cases, experiment.patch, experiment.augmentation)
            if name:
                times[name].append(time.perf_counter() - started)
    finally:
        os.environ.clear()
        os.environ.update(kept)
    return {f"{name}_s": statistics.median(values) for name, values in times.items()}
