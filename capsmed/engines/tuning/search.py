"""The searches of a run: trials trained on inner folds, one search a fold and trained model."""

from __future__ import annotations

import shutil
import time
import zlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import ignite.distributed as idist
import numpy as np
import torch
from sklearn.metrics import log_loss

from capsmed import config
from capsmed.config import Experiment, Tracking
from capsmed.engines.display import Display, counted, duration
from capsmed.engines.estimate import measure
from capsmed.engines.fit import FoldTrainer
from capsmed.engines.fits import Fit
from capsmed.engines.predict import predict
from capsmed.engines.run_data import RunData
from capsmed.engines.run_folder import RunFolder
from capsmed.engines.tuning.chosen import FILE, METRICS, Chosen, shown
from capsmed.engines.tuning.inner_folds import inner_splits
from capsmed.engines.tuning.space import Values, configured_values, mattering, samples
from capsmed.engines.tuning.trials import COMPLETE, FAILED, PRUNED, Trial, Trials
from capsmed.errors import ConfigError, TrainingError
from capsmed.metrics.scores import macro_auc

WORK = "work"  # the trial's own training, taken away when it ends


@dataclass(frozen=True)
class _Search:
    """One search: a model in a fold, the space that matters to it, and its inner folds."""

    fit: Fit
    experiment: Experiment
    data: RunData
    trials: Trials
    device: torch.device
    base: Path

    @property
    def inner(self) -> list[int]:
        return sorted(set(self.data.splits["fold"]))

    @property
    def epochs_left(self) -> int:
        """Epochs that are still to be run at most, each as the configuration has it."""
        trials = max(self.trials.wanted - len(self.trials.done), 0)
        return trials * len(self.inner) * self.epochs

    @property
    def epochs(self) -> int:
        """Epochs of one training at most."""
        asked = self.trials.space.get("training.epochs", ())
        return max(self.experiment.training.epochs, *samples(asked), 0)


def search(
    experiment: Experiment, data: RunData, fits: list[Fit], device: torch.device, base: Path
) -> None:
    """Run every search of ``experiment.tuning`` that has not finished, and write what it chose.

    The network and each trained baseline are searched apart, in the same inner folds, with as many
    trials: a baseline whose hyper-parameters are left alone would be a straw man. One search
    serves all seeds.

    Args:
        experiment: the configuration.
        data: of the run.
        fits: its trainings; each names its search's folder.
        device: where to compute.
        base: folder that a relative path of the experiment's weights is relative to.

    Raises:
        TrainingError: every trial of a search failed.
    """
    for fit in fits:
        if fit.tuning is not None and idist.get_rank() == 0:
            shutil.rmtree(fit.tuning / WORK, ignore_errors=True)  # of a search that was killed
    places = {fit.tuning: fit for fit in reversed(fits) if fit.tuning is not None}
    waiting = [
        _open(fit, place, experiment, data, device, base)
        for place, fit in reversed(places.items())
        if not (place / FILE).exists()
    ]
    if not waiting:
        return
    total, first = sum(each.epochs_left for each in waiting), idist.get_rank() == 0
    with Display(total, enabled=first) as display:
        display.line(
            f"{len(waiting)} of {len(places)} searches to do, one for each fold and model: "
            f"{counted(experiment.tuning.trials, 'trial')} each, measured on "
            f"{counted(len(waiting[0].inner), 'inner fold')}"
        )
        _announce(display, waiting[0], total)
        for each in waiting:
            display.line(_line(_run(each, display)))


def _open(
    fit: Fit,
    folder: Path,
    experiment: Experiment,
    data: RunData,
    device: torch.device,
    base: Path,
) -> _Search:
    space = mattering(experiment, fit.model)
    parts = inner_splits(data.cohort, data.splits, experiment, fit.repeat, fit.fold)
    first = configured_values(experiment, space)
    key = (*fit.key, zlib.crc32(fit.model.encode()))
    trials = Trials(folder, space, first, key, experiment.tuning.trials if space else 0)
    experiment = experiment.model_copy(update={"tracking": Tracking(to=())})
    return _Search(fit, experiment, replace(data, splits=parts), trials.read(), device, base)


def _announce(display: Display, search: _Search, epochs: int) -> None:
    trainer = _trainer(search, search.experiment, 0)
    seconds = measure(trainer).seconds_per_epoch * epochs
    display.line(f"{duration(seconds)} for {counted(epochs, 'epoch')} at most")


def _run(search: _Search, display: Display) -> Chosen:
    trials, first = search.trials, idist.get_rank() == 0
    while len(trials.done) < trials.wanted:
        trial = _try(search, trials.ask(), display)
        trials.add(trial, write=first)
    chosen = _choose(search)
    if first:
        RunFolder(trials.folder).write_json(FILE, asdict(chosen))
        shutil.rmtree(trials.folder / WORK, ignore_errors=True)
    idist.barrier()
    return chosen


def _choose(search: _Search) -> Chosen:
    trials, fit = search.trials, search.fit
    best, done = trials.best, trials.done
    if best is None and trials.wanted:
        raise TrainingError(
            f"tuning of {fit.model}, repeat {fit.repeat}, fold {fit.fold}: expected a trial that "
            f"can be trained, got {len(done)} that failed, the first with: {done[0].reason}; "
            "start anew with another tuning.space and --out"
        )
    first = done[0] if done and done[0].values == trials.first else None
    own = first if first is not None and first.state == COMPLETE else None
    return Chosen(
        fit.model,
        fit.repeat,
        fit.fold,
        {} if best is None else done[best].values,
        None if best is None else done[best].score,
        None if own is None else own.score,
        search.experiment.tuning.metric,
        len(done),
        sum(trial.state == PRUNED for trial in done),
        sum(trial.state == FAILED for trial in done),
    )


def _try(search: _Search, values: Values, display: Display) -> Trial:
    """Train on the inner folds one after the other, until they are done or it is hopeless."""
    started, scores = time.monotonic(), list[float]()
    planned = search.epochs * len(search.inner)
    state, reason = COMPLETE, ""
    try:
        experiment = config.changed(search.experiment, values)
        for number in search.inner:
            scores.append(_score(search, experiment, number, display))
            planned -= search.epochs
            if number < search.inner[-1] and search.trials.is_worse(scores):
                state = PRUNED
                break
    except (ConfigError, TrainingError) as error:
        place = str(search.trials.folder / WORK)
        state, reason = FAILED, str(error).replace(place, "the trial")
    display.skip(planned)
    seconds = round(time.monotonic() - started, 1)
    return Trial(values, state, tuple(scores), seconds, reason)


def _score(search: _Search, experiment: Experiment, number: int, display: Display) -> float:
    """Train on one inner fold and score its test part; higher is better."""
    trainer = _trainer(search, experiment, number)
    fitted = trainer.run(display.epoch)
    display.skip(search.epochs - fitted.stopped_epoch)
    fit, data = trainer.fit, search.data
    tested = data.positions(fit, "test")
    found = predict(
        fitted.wrapper,
        data.patches.view(tested, augment=False, seed_key=fit.key),
        batch_size=max(experiment.training.batch_size, 64),
        device=search.device,
        precision=experiment.training.precision,
    )
    targets = data.patches.targets.numpy()[tested]
    if not np.isfinite(found).all():
        raise TrainingError("expected finite probabilities, got others")
    if experiment.tuning.metric == "auc":
        return macro_auc(targets, found)
    return -float(log_loss(targets, found, labels=range(found.shape[1])))


def _trainer(search: _Search, experiment: Experiment, number: int) -> FoldTrainer:
    """A trainer on one inner fold, in a folder that is empty."""
    folder = search.trials.folder / WORK
    if idist.get_rank() == 0:
        shutil.rmtree(folder, ignore_errors=True)
    idist.barrier()
    fit = Fit(search.fit.model, search.fit.repeat, search.fit.seed, number, folder)
    data = search.data.augmented(experiment.augmentation)
    classes = data.cohort.classes
    return FoldTrainer(
        fit, experiment, classes, data.fold(fit), search.device, search.base, recorded=False
    )


def _line(chosen: Chosen) -> str:
    values = ", ".join(f"{key} {value}" for key, value in chosen.values.items())
    place = f"{chosen.model}: repeat {chosen.repeat}, fold {chosen.fold}"
    if not chosen.values:
        return f"{place}: nothing of the space changes it"
    inside, own = (
        "" if score is None else f"{shown(score, chosen.metric)}"
        for score in (chosen.score, chosen.configured_score)
    )
    name = METRICS[chosen.metric]
    return f"{place}: {values} ({name} inside {inside}{f', as configured {own}' if own else ''})"
