"""What is said of a training that is no longer finite: where, since when, and how to go on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import ignite.distributed as idist
import numpy as np
import torch
from ignite.engine import Engine
from torch import Tensor

from capsmed.errors import TrainingError
from capsmed.handlers import EpochSeed
from capsmed.handlers.finite import first_bad_output, first_bad_weight
from capsmed.handlers.gradient_clip import GradientClip
from capsmed.metrics.advice import advice

if TYPE_CHECKING:
    from capsmed.engines.fit import FoldTrainer


def stop(trainer: FoldTrainer, engine: Engine, step: int) -> NoReturn:
    """End a training that is not finite; every process calls this and each raises.

    Args:
        trainer: the training; its checkpoints are those of the last good epoch.
        engine: the running MONAI trainer.
        step: number of the first step of the epoch, from 1, whose loss is not finite; 0: all
            losses are finite, the weights are not.

    Raises:
        TrainingError: always; names the first layer whose output is not finite.
    """
    epoch = engine.state.epoch
    if step == 0:
        what = "finite weights"
        got = f"others at the end of epoch {epoch}"
        where = f"first {_joined(first_bad_weight(trainer.wrapper.network))}"
    else:
        what = "a finite loss"
        got = f"another in epoch {epoch}, step {step} of {len(trainer.loader)}"
        where = _joined(_place(trainer, engine, step))
    raise TrainingError(
        f"{trainer.fit.folder}: expected {what}, got {got}: {where}. {_kept(trainer)}; "
        f"try {_advice(trainer)}, in a new run (--out)"
    )


def check_inner(trainer: FoldTrainer, epoch: int, inner: Mapping[str, float]) -> None:
    """Stop before an epoch is kept whose network gives no finite loss on the inner part.

    Raises:
        TrainingError: it does not.
    """
    if math.isfinite(inner.get("loss", 0.0)):
        return
    raise TrainingError(
        f"{trainer.fit.folder}: expected a finite loss on the inner part, got another after epoch "
        f"{epoch}. {_kept(trainer)}; try {_advice(trainer)}, in a new run (--out)"
    )


def check_predictions(where: object, values: np.ndarray) -> None:
    """Stop before predictions are kept that are not finite.

    Raises:
        TrainingError: some are not.
    """
    bad = int((~np.isfinite(values)).any(axis=1).sum())
    if bad:
        raise TrainingError(
            f"{where}: expected finite predictions, got others for {bad} of {len(values)} "
            f"cases; try {', or '.join(advice('not_finite'))}, in a new run (--out)"
        )


@contextmanager
def overflow_told(trainer: FoldTrainer, where: str) -> Iterator[None]:
    """Say it plainly if an optimiser's step within the block does not fit into a float.

    Raises:
        TrainingError: it did not.
    """
    try:
        yield
    except RuntimeError as error:
        if "without overflow" not in str(error):
            raise
        raise TrainingError(
            f"{where}: expected optimiser steps that fit into a float, got an overflow; "
            f"try {_advice(trainer)}"
        ) from error


def blame(trainer: FoldTrainer, image: Tensor, label: Tensor) -> str:
    """Which part first makes something not finite of a batch, in words.

    The batch is run again in training mode; the network's running means change.
    """
    if not image.isfinite().all():
        return "the input itself is not finite, look at the images"
    network, infer = trainer.wrapper.network, trainer.inferer()
    output: dict[str, Tensor] = {}

    def call() -> None:
        output.update(infer(image, trainer.wrapper, label))

    trainer.wrapper.train()
    name = first_bad_output(network, call)
    if name is not None:
        own = name if first_bad_weight(network.get_submodule(name)) else ""
        weights = ", whose weights are not finite" if own else ""
        return f"the first layer whose output is not finite is '{name}'{weights}"
    if not all(value.isfinite().all() for value in output.values()):
        return "all layers' outputs are finite, what the network makes of them is not"
    if not trainer.loss(output, label).isfinite().all():
        return "all layers' outputs are finite, the loss itself is not"
    return "run again, the batch gives a finite loss (dropout differs), so no layer can be named"


def _place(trainer: FoldTrainer, engine: Engine, step: int) -> str | None:
    if engine.state.iteration == (engine.state.epoch - 1) * len(trainer.loader) + step:
        seen: Any = engine.state.output
        if idist.get_world_size() == 1 and not seen["loss"].isfinite():
            return blame(trainer, seen["image"], seen["label"])  # no step was taken since
    return _replay(trainer, engine, step)


def _replay(trainer: FoldTrainer, engine: Any, step: int) -> str | None:
    """Repeat the epoch from ``last.pt`` up to its bad step, and blame that batch's layer.

    Needed where steps were taken before the loss was looked at. All processes step together; None
    where this one's loss is finite.
    """
    trainer.checkpoint.resume()
    EpochSeed(trainer.fit.key, trainer.loader)(engine)
    infer, clip = trainer.inferer(), trainer.experiment.training.clip
    engine.network.train()
    for batch in trainer.loader:
        image, label = (batch[key].to(trainer.device) for key in ("image", "label"))
        trainer.optimizer.zero_grad()
        loss = trainer.loss(infer(image, engine.network, label), label).mean()
        bad = not bool(loss.isfinite())
        if idist.all_reduce(int(bad), "MAX"):
            return blame(trainer, image, label) if bad else None
        loss.backward()
        if clip:
            GradientClip(clip)(engine)
        trainer.optimizer.step()
        trainer.schedule.step()
    return f"step {step} did not fail when the epoch was repeated, so no layer can be named"


def _joined(place: str | None) -> str:
    """The first process's words that has some."""
    places: list[str | None] = [place]
    if idist.get_world_size() > 1:
        places = [None] * idist.get_world_size()
        torch.distributed.all_gather_object(places, place)
    return next((text for text in places if text), "a running mean of one process")


def _kept(trainer: FoldTrainer) -> str:
    epoch = trainer.checkpoint.epoch
    if epoch == 0:
        return "No epoch was finished, so nothing but the first weights is kept (last.pt)"
    return f"Epoch {epoch} was the last good one and is kept (last.pt; --resume goes on from it)"


def _advice(trainer: FoldTrainer) -> str:
    first, *others = advice("not_finite")
    return ", or ".join([f"{first} (it was {_rate(trainer):g})", *others])


def _rate(trainer: FoldTrainer) -> float:
    return float(trainer.optimizer.defaults["lr"])
