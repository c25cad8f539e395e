"""Before a long run: can this configuration learn a handful of cases by heart?"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from capsmed.config import Component, Experiment
from capsmed.engines import acceleration, build, components, diverged
from capsmed.engines.display import counted
from capsmed.engines.fit import FoldData, FoldTrainer
from capsmed.engines.fits import Fit, list_fits
from capsmed.engines.learning import settings, training_facts
from capsmed.engines.precision import choose_device
from capsmed.engines.predict import choose_examples
from capsmed.engines.run_data import RunData, read_data
from capsmed.engines.shortage import memory_told
from capsmed.errors import TrainingError
from capsmed.metrics.advice import advice, causes, for_smoke
from capsmed.metrics.diagnosis import diagnose
from capsmed.metrics.learning import part_facts

CASES = 8
SECONDS = 60.0
STILL = 200  # steps in a row of one and the same loss, after which no more are worth while
ROUNDING = 1e-6  # share by which a float32 loss differs from itself
STEADY = 3  # steps in a row that must be right: a jumping network hits the answer by chance


@dataclass(frozen=True)
class Smoke:
    """How it went: cases right of all, steps, seconds, the loss before and after."""

    right: int
    cases: int
    steps: int
    seconds: float
    first_loss: float
    last_loss: float
    rate: float
    stood_still: bool = False

    @property
    def passed(self) -> bool:
        """Whether every case was right."""
        return self.right == self.cases

    @property
    def sentence(self) -> str:
        """'smoke: 8 of 8 right after 23 steps, 4 s'."""
        still = f", stopped because the loss stood still for {STILL} steps"
        return (
            f"smoke: {self.right} of {self.cases} right after {counted(self.steps, 'step')}, "
            f"{self.seconds:.0f} s{still if self.stood_still else ''} "
            f"(loss {self.first_loss:.3g} to {self.last_loss:.3g}, "
            f"constant learning rate {self.rate:g})"
        )


def smoke(
    experiment: Experiment,
    *,
    base: Path,
    data_root: Path | None = None,
    allow_import: Collection[str] = (),
    seconds: float = SECONDS,
    tell: Callable[[str], None] | None = None,
) -> Smoke:
    """Overfit up to eight cases of the first fold's training part; no run folder is written.

    Network, loss, optimiser, starting weights, frozen parts, clipping, device and precision are
    the configuration's; the learning rate stays at ``optimizer.lr`` (a schedule's peak), and
    nothing is augmented.

    Args:
        experiment: the checked configuration.
        base: folder that relative paths are relative to.
        data_root: folder that the table's image paths are relative to, instead of the table's.
        allow_import: packages that dotted component names may come from.
        seconds: time limit, of the training alone.
        tell: is called with each line on what was taken from ``weights.file``, before the training.

    Raises:
        ConfigError: as for training.
        DataError: as for training.
        TrainingError: not every case was right in time, or the loss was not finite; with the
            figures reached, what is wrong and what to try.
    """
    components.check_components(experiment, allow_import)
    build.check_fit(experiment, base)
    device = choose_device(experiment.device)
    acceleration.prepare(experiment.training, device)
    with memory_told(experiment):
        data = read_data(experiment, base, data_root)
        first = list_fits(Path(), experiment, data.splits)[0]
        training = data.positions(first, "train")
        chosen = choose_examples(data.patches.targets.numpy()[training].tolist(), CASES)
        cases = np.sort(training[chosen])
        trainer = _trainer(experiment, first, data, cases, device, base)
        if tell is not None and trainer.taken is not None:
            for line in trainer.taken.lines():
                tell(f"{first.model}: {line}")
        result = _overfit(trainer, seconds)
        if not result.passed:
            raise TrainingError(f"{result.sentence}; {_reasons(trainer, data, cases, result)}")
    return result


def _trainer(
    experiment: Experiment,
    fit: Fit,
    run: RunData,
    cases: np.ndarray,
    device: torch.device,
    base: Path,
) -> FoldTrainer:
    """The first fold's trainer, but on these cases alone and at a constant learning rate.

    Class weights are those of the fold's whole training part. Nothing is measured, read from the
    fold's folder or written there.
    """
    few: dict[str, Any] = {"batch_size": len(cases), "workers": 0, "ema": 0.0}
    few["sampling"] = "natural"
    if experiment.training.convolutions == "auto":
        few["convolutions"] = "direct"
    changed = {
        "schedule": Component(name="constant"),
        "training": experiment.training.model_copy(update=few),
    }
    view = run.patches.view(cases, augment=False, seed_key=fit.key)
    targets = run.patches.targets.numpy()
    weighed = targets[run.positions(fit, "train")]
    data = FoldData(view, None, targets[cases], np.empty(0, int), weighed)
    classes = run.cohort.classes
    changed_experiment = experiment.model_copy(update=changed)
    return FoldTrainer(fit, changed_experiment, classes, data, device, base, recorded=False)


def _overfit(trainer: FoldTrainer, seconds: float) -> Smoke:
    """Step until every case is right `STEADY` times in a row, or the time is over.

    Or until the loss has not moved for `STILL` steps.
    """
    batch: Any = next(iter(trainer.loader))
    image, label = batch["image"].to(trainer.device), batch["label"].to(trainer.device)
    started, steps, steady, losses = time.monotonic(), 0, 0, [0.0, 0.0]
    right = _right(trainer, image, label)
    rate = float(trainer.optimizer.defaults["lr"])
    still, stood = 0, float("inf")
    while steady < STEADY and still < STILL and time.monotonic() - started < seconds:
        losses[1 if steps else 0] = losses[1] = _step(trainer, image, label, steps + 1)
        steps += 1
        moved = rate > 0 and not abs(losses[1] - stood) <= ROUNDING * abs(stood)
        still, stood = (0, losses[1]) if moved else (still + 1, stood)
        right = _right(trainer, image, label)
        steady = steady + 1 if right == len(label) else 0
    spent = time.monotonic() - started
    needed = steps - STEADY + 1 if steady == STEADY else steps
    ended = still >= STILL and steady < STEADY
    return Smoke(right, len(label), needed, spent, losses[0], losses[1], rate, ended)


def _step(trainer: FoldTrainer, image: torch.Tensor, label: torch.Tensor, number: int) -> float:
    wrapper, infer = trainer.wrapper, trainer.inferer()
    wrapper.train()
    trainer.optimizer.zero_grad()
    loss = trainer.loss(infer(image, wrapper, label), label).mean()
    value = float(loss.detach())
    if not np.isfinite(value):
        where = diverged.blame(trainer, image, label)
        raise TrainingError(
            f"smoke: expected a finite loss, got {value} in step {number}: {where}; "
            f"try {', or '.join(advice('not_finite'))}"
        )
    loss.backward()
    clip = trainer.experiment.training.clip
    if clip:
        torch.nn.utils.clip_grad_norm_(wrapper.parameters(), clip)
    with diverged.overflow_told(trainer, "smoke"):
        trainer.optimizer.step()
    return value


@torch.no_grad()
def _right(trainer: FoldTrainer, image: torch.Tensor, label: torch.Tensor) -> int:
    infer = trainer.inferer()
    scores = infer(image, trainer.wrapper.eval(), label)["scores"]
    return int((scores.argmax(dim=1) == label).sum())


def _reasons(trainer: FoldTrainer, data: RunData, cases: np.ndarray, result: Smoke) -> str:
    """What is wrong in the words of a finished fold's diagnosis."""
    experiment, patches = trainer.experiment, data.patches
    facts, values = training_facts(
        trainer.wrapper, trainer.loss, patches, cases, experiment, trainer.device
    )
    targets, units = patches.targets.numpy()[cases], np.arange(len(cases))
    facts["train"] = part_facts(targets, values, units, data.cohort.classes)
    facts["loss"] |= {"first": result.first_loss, "last": result.last_loss, "epochs": result.steps}
    facts |= settings(experiment, trainer.fit.model, trainer.loss, data.cohort.classes)
    facts["learning_rate"] = result.rate
    found = [replace(f, advice=_fitting(f.advice)).sentence for f in diagnose(facts)]
    cause = causes(result.rate, facts["unweighed"])
    tips = cause or advice("too_slow", facts["options"])
    return "; ".join(found) or f"try {', or '.join(tips)}"


def _fitting(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Advice that means something here; a cause, or advice with nothing left, stays as it is."""
    return texts if any("above 0" in text for text in texts) else for_smoke(texts) or texts
