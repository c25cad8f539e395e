"""The main job: from a configuration to a finished run folder."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path

import ignite.distributed as idist
import torch

from capsmed.config import Experiment
from capsmed.data.splits import given_column
from capsmed.engines import (
    acceleration,
    build,
    components,
    environment,
    learning,
    tracking,
    weights,
)
from capsmed.engines.display import Display, counted, duration
from capsmed.engines.estimate import Estimate, measure
from capsmed.engines.finish import Labels, finish
from capsmed.engines.fit import Fitted, FoldTrainer
from capsmed.engines.fits import Fit, list_fits
from capsmed.engines.held_out import evaluate_held_out
from capsmed.engines.keep import keep
from capsmed.engines.precision import choose_device
from capsmed.engines.run_data import RunData, read_data
from capsmed.engines.run_folder import RunFolder
from capsmed.engines.shortage import memory_told
from capsmed.engines.start import check_folder, open_run
from capsmed.engines.tabular_baselines import keep_features
from capsmed.engines.tuning.chosen import of_fold
from capsmed.engines.tuning.search import search
from capsmed.engines.tuning.space import check_space

_NOISY = ("ignite.distributed.launcher.Parallel", "ignite.distributed.auto.auto_model")


def train(
    experiment: Experiment,
    *,
    base: Path,
    out: Path | None = None,
    resume: bool = False,
    command: str = "",
    data_root: Path | None = None,
    allow_import: Collection[str] = (),
    search_only: bool = False,
) -> Path:
    """Train and evaluate ``experiment``; return its run folder.

    The same call serves one process and, with torchrun's environment set, many: there is one
    ``ignite.distributed.Parallel`` around it. Each finished fold is skipped and an interrupted
    one goes on from its last checkpoint when ``resume`` is set.

    Args:
        experiment: the checked configuration.
        base: folder that a relative cohort path is relative to.
        out: the run folder; default ``experiment.output``, then ``runs/<name>``.
        resume: go on with an existing run folder of the same configuration.
        command: the command line, for the record.
        data_root: folder that the table's image paths are relative to, instead of the table's.
        allow_import: packages that dotted component names may come from.
        search_only: stop when the hyper-parameters of ``experiment.tuning`` have been chosen.

    Raises:
        ConfigError: wrong component or option, absent device, or another configuration resumed.
        DataError: the cohort cannot be used as it is.
        CheckpointError: a checkpoint is damaged or of another network.
        TrainingError: loss or weights are no longer finite.
    """
    components.check_components(experiment, allow_import)
    build.check_fit(experiment, base)
    check_space(experiment, base, allow_import)
    tracking.check(experiment)
    run = RunFolder(Path(out or experiment.output or Path("runs") / experiment.name))
    check_folder(run, resume)
    for name in _NOISY:
        logging.getLogger(name).addFilter(lambda record: record.levelno >= logging.WARNING)
    job = _Job(experiment, base, run, command, data_root, search_only)
    device = choose_device(experiment.device)
    acceleration.prepare(experiment.training, device)
    acceleration.check_compiler(experiment.training, device)
    with memory_told(experiment), idist.Parallel(backend=_backend(device)) as parallel:
        parallel.run(_work, job, device)
    return run.path


@dataclass(frozen=True)
class _Job:
    experiment: Experiment
    base: Path
    run: RunFolder
    command: str
    data_root: Path | None
    search_only: bool


def _backend(device: torch.device) -> str | None:
    if "WORLD_SIZE" not in os.environ:
        return None
    return "nccl" if device.type == "cuda" else "gloo"


def _work(local_rank: int, job: _Job, device: torch.device) -> None:
    if device.type == "cuda" and idist.get_world_size() > 1:
        device = torch.device("cuda", local_rank)
    experiment, first = job.experiment, idist.get_rank() == 0
    if not first:
        idist.barrier()  # the first process renders or unpacks what all then read
    data = read_data(experiment, job.base, job.data_root, show=first)
    if first:
        open_run(job.run, experiment, data.cohort, data.patches, data.splits, job.base)
        keep_features(job.run, experiment, data.cohort, data.patches)
        idist.barrier()
    fits = list_fits(job.run.path, experiment, data.splits)
    waiting = [fit for fit in fits if not fit.finished]
    idist.barrier()
    if waiting:
        _describe(job, data, device)
    search(experiment, data, fits, device, job.base)
    if job.search_only:
        return
    if waiting:
        _train_all(job, data, len(fits) - len(waiting), waiting, device)
    labels = Labels.of(data.cohort, experiment.split)
    if first:
        finish(job.run, experiment, labels, [fit.folder for fit in fits])
        tracking.track_result(job.run.path, experiment)
    if data.held_out is not None:
        evaluate_held_out(job.run, experiment, labels, fits, data.held_out, device)
    idist.barrier()


def _describe(job: _Job, data: RunData, device: torch.device) -> None:
    if idist.get_rank() == 0:
        facts = {
            "seeds": list(job.experiment.seeds),
            "data_digest": data.cohort.digest,
            "split_column": given_column(data.cohort, data.cohort.included, job.experiment.split),
            "labels": asdict(Labels.of(data.cohort, job.experiment.split)),
            "weights_digest": weights.digest(job.experiment.weights, job.base),
        }
        described = environment.describe(job.command, device, idist.get_world_size(), **facts)
        job.run.write_json("environment.json", described)


def _train_all(
    job: _Job, data: RunData, finished: int, waiting: list[Fit], device: torch.device
) -> None:
    first, told = idist.get_rank() == 0, set[str]()
    tuned = [of_fold(job.experiment, fit) for fit in waiting]
    total = sum(experiment.training.epochs for experiment in tuned)
    with Display(total, enabled=first) as display:
        display.line(
            f"{len(data.cohort.included)} cases on {device}: "
            f"{counted(len(waiting), 'training')} to do, {finished} finished"
        )
        _announce(display, job, data, waiting, tuned, device)
        for fit, experiment in zip(waiting, tuned, strict=True):
            trainer = _trainer(job, data, fit, experiment, device)
            if fit.model not in told:
                told.add(fit.model)
                _announce_start(display, trainer)
            done = trainer.checkpoint.epoch
            fitted = trainer.run(display.epoch)
            display.skip(experiment.training.epochs - (fitted.stopped_epoch - done))
            facts = keep(fit, experiment, data, fitted, device)
            display.line(_fold_line(fit, fitted))
            for text in learning.lines(facts):
                display.line(f"  {text}")


def _trainer(
    job: _Job, data: RunData, fit: Fit, experiment: Experiment, device: torch.device
) -> FoldTrainer:
    parts = data.augmented(experiment.augmentation).fold(fit)
    return FoldTrainer(fit, experiment, data.cohort.classes, parts, device, job.base)


def _announce(
    display: Display,
    job: _Job,
    data: RunData,
    fits: list[Fit],
    tuned: list[Experiment],
    device: torch.device,
) -> None:
    """Measure a few steps of each model and say what all trainings need."""
    found, seconds, epochs = dict[str, Estimate](), 0.0, 0
    for fit, experiment in zip(fits, tuned, strict=True):
        if fit.model not in found:
            found[fit.model] = measure(_trainer(job, data, fit, experiment, device))
        seconds += found[fit.model].seconds_per_epoch * experiment.training.epochs
        epochs += experiment.training.epochs
    own, images = found.get(job.experiment.network.name), data.patches.images
    if own is not None:
        display.line(
            f"{own.parameters:,} parameters, {own.multiply_adds / 1e6:.3g} million multiply-adds a "
            "patch"
        )
    step = max(each.step_bytes for each in found.values())
    memory = (step + images.numel() * images.element_size()) / 2**20
    display.line(
        f"{duration(seconds)} for {counted(epochs, 'epoch')} of {counted(len(found), 'model')} and "
        f"{memory:.0f} MB of memory beside the libraries"
    )


def _announce_start(display: Display, trainer: FoldTrainer) -> None:
    """Say how it computes, and what is not fitted from chance: given tensors, frozen parts."""
    for line in trainer.acceleration.lines():
        display.line(f"{trainer.fit.model}: {line}")
    if trainer.taken is not None:
        for line in trainer.taken.lines():
            display.line(f"{trainer.fit.model}: {line}")
    parameters = list(trainer.wrapper.parameters())
    frozen = sum(p.numel() for p in parameters if not p.requires_grad)
    if trainer.wrapper.frozen:
        total = sum(p.numel() for p in parameters)
        display.line(f"{trainer.fit.model}: {frozen:,} of {total:,} parameters are frozen")


def _fold_line(fit: Fit, fitted: Fitted) -> str:
    return (
        f"{fit.model}: repeat {fit.repeat}, seed {fit.seed}, fold {fit.fold} finished after "
        f"{counted(fitted.stopped_epoch, 'epoch')} (weights of epoch {fitted.chosen_epoch})"
    )
