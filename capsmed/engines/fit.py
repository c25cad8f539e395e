"""One training: a network on one fold, from its last checkpoint to its end."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import ignite.distributed as idist
import numpy as np
import torch
from ignite.engine import Engine, Events
from ignite.handlers import EMAHandler
from monai.engines import SupervisedTrainer
from monai.engines.utils import PrepareBatchExtraInput
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from capsmed import seeds
from capsmed.config import Experiment
from capsmed.data.patches import PatchView
from capsmed.data.sampling import EpochSampler
from capsmed.engines import acceleration, build, diverged, tracking
from capsmed.engines.fits import MONAI, Fit
from capsmed.engines.loaders import build_loader
from capsmed.engines.precision import PrecisionInferer
from capsmed.engines.predict import collect
from capsmed.engines.weights import Taken
from capsmed.handlers import (
    EpochCheckpoint,
    EpochSeed,
    FiniteCheck,
    GradientClip,
    History,
    LossProgress,
)
from capsmed.handlers.checkpoint import load_weights
from capsmed.metrics.scores import accuracy, macro_auc
from capsmed.networks import TrainingWrapper, probabilities

OnEpoch = Callable[[Fit, dict[str, Any]], None]


@dataclass(frozen=True)
class FoldData:
    """The parts of one fold: datasets of patches and the class indices of their cases.

    Attributes:
        train: what is trained on.
        inner: what epochs are compared by, or None.
        train_targets: class indices of ``train``.
        inner_targets: class indices of ``inner``.
        weighed: class indices of the cases that class weights are counted on, where these are not
            those of ``train``.
    """

    train: PatchView
    inner: PatchView | None
    train_targets: np.ndarray
    inner_targets: np.ndarray
    weighed: np.ndarray | None = None


@dataclass(frozen=True)
class Fitted:
    """A trained network (in its wrapper, in evaluation mode), its loss, how its training went."""

    wrapper: TrainingWrapper
    loss: nn.Module
    parameters: int
    stopped_epoch: int
    chosen_epoch: int
    frozen: int = 0
    taken: Taken | None = None


class FoldTrainer:
    """Everything that one training needs, built from the configuration.

    The network's weights, the order of cases, their augmentation and dropout depend only on
    (seed, repeat, fold, epoch, case), so a training that was killed goes on from ``last.pt`` to
    the weights it would have had (bit for bit on CPU).

    Args:
        fit: which training this is and where it lives.
        experiment: the configuration.
        classes: names in class order.
        data: the fold's datasets.
        device: where to compute.
        base: folder that a relative path of the experiment's weights is relative to.
        recorded: whether the fit's folder keeps how it computes, for the training to go on so.
    """

    def __init__(
        self,
        fit: Fit,
        experiment: Experiment,
        classes: tuple[str, ...],
        data: FoldData,
        device: torch.device,
        base: Path = Path(),
        *,
        recorded: bool = True,
    ) -> None:
        self.fit, self.experiment, self.data, self.device = fit, experiment, data, device
        training = experiment.training
        network, loss = build.specification(experiment, fit.model)
        torch.manual_seed(seeds.derive(*fit.key, 0))
        self.wrapper, self.taken = build.build_wrapper(experiment, fit.model, len(classes), base)
        self.wrapper.to(device)
        folder = fit.folder if recorded else None
        self.acceleration = acceleration.decide(
            folder, training, self.wrapper, self._batch_shape(), device
        )
        self.acceleration.apply(self.wrapper)
        weighed = data.train_targets if data.weighed is None else data.weighed
        cases = np.bincount(weighed, minlength=len(classes)).tolist()
        self.loss = build.build_loss(loss, cases).to(device)
        self.loader = self._training_loader()
        scales = {} if fit.model in MONAI else training.lr_scale
        self.optimizer = build.build_optimizer(experiment.optimizer, self.wrapper.network, scales)
        self.schedule = build.build_schedule(
            experiment.schedule, self.optimizer, training.epochs * len(self.loader)
        )
        self.ema = EMAHandler(self.wrapper, momentum=1 - training.ema) if training.ema else None
        parts = {"optimizer": self.optimizer, "schedule": self.schedule}
        if self.ema:
            parts["raw_network"] = self.wrapper.network
        parts["network"] = self.predicting.network
        self.checkpoint = EpochCheckpoint(
            fit.folder / "checkpoints", parts, self._facts(network, classes)
        )

    @property
    def predicting(self) -> TrainingWrapper:
        """The network that is evaluated: the running mean of the weights where there is one."""
        return cast(TrainingWrapper, self.ema.ema_model) if self.ema else self.wrapper

    def inferer(self) -> PrecisionInferer:
        """What calls the network on a batch: in its precision and memory layout."""
        training, dims = self.experiment.training, self.experiment.patch.spatial_dims
        return PrecisionInferer(training.precision, self.acceleration.memory_format(dims))

    def run(self, on_epoch: OnEpoch) -> Fitted:
        """Train to the end, from ``last.pt`` if it is there, and return the chosen network."""
        if not self.checkpoint.resume():
            self.checkpoint.save(0)
        if not self._done(self.checkpoint.epoch):
            self._train(on_epoch)
        idist.barrier()
        use_best = self.experiment.training.select == "best" and self.checkpoint.best_epoch > 0
        load_weights(
            self.predicting.network, self.checkpoint.best if use_best else self.checkpoint.last
        )
        return Fitted(
            self.predicting.eval(),
            self.loss.eval(),
            sum(p.numel() for p in self.wrapper.parameters()),
            self.checkpoint.epoch,
            self.checkpoint.best_epoch if use_best else self.checkpoint.epoch,
            sum(p.numel() for p in self.wrapper.parameters() if not p.requires_grad),
            self.taken,
        )

    def _train(self, on_epoch: OnEpoch) -> None:
        history = History(self.fit.folder / "history.csv", self.checkpoint.epoch)
        check = FiniteCheck(lambda engine, step: diverged.stop(self, engine, step))
        epoch_seed, progress = EpochSeed(self.fit.key, self.loader), LossProgress(self.loss)
        trainer = self._build_trainer([epoch_seed, progress, check, history])
        trainer.state.epoch = self.checkpoint.epoch
        trainer.state.iteration = self.checkpoint.epoch * len(self.loader)

        @trainer.on(Events.EPOCH_COMPLETED)
        def finish_epoch(engine: Engine) -> None:
            self._share_statistics()
            inner = self._evaluate_inner()
            diverged.check_inner(self, engine.state.epoch, inner)
            group = self.optimizer.param_groups[0]
            rate = group["lr"] / group.get("lr_scale", 1.0)  # absent in runs of 0.1
            row = history.record(engine, rate, inner)
            engine.state.metrics = {k: v for k, v in row.items() if isinstance(v, float)}
            self.checkpoint.save(engine.state.epoch, -inner["loss"] if inner else None)
            on_epoch(self.fit, row)
            if self._done(engine.state.epoch):
                engine.terminate()

        with (
            tracking.tracked(trainer, self.fit, self.experiment, history.rows),
            diverged.overflow_told(self, str(self.fit.folder)),
        ):
            trainer.run()

    def _build_trainer(self, handlers: list) -> SupervisedTrainer:
        training = self.experiment.training
        if training.clip:
            handlers.append(GradientClip(training.clip))
        network = self._distributed()
        trainer = SupervisedTrainer(
            device=self.device,
            max_epochs=training.epochs,
            train_data_loader=self.loader,
            network=acceleration.compiled(network) if training.compile else network,
            optimizer=self.optimizer,
            loss_function=self.loss,
            prepare_batch=PrepareBatchExtraInput(extra_keys="label"),
            inferer=self.inferer(),
            train_handlers=handlers,
            decollate=False,
            optim_set_to_none=True,
            non_blocking=True,
        )
        trainer.logger.setLevel(logging.CRITICAL)  # it would print an error that is raised anyway
        trainer.add_event_handler(Events.ITERATION_COMPLETED, self._step_schedule)
        if self.ema:
            self.ema.attach(trainer)
        return trainer

    def _distributed(self) -> nn.Module:
        """Wrap the training wrapper for several processes; ignite's auto_model picks its device.

        On GPUs batch norm uses all processes' cases; on CPUs torch has no such norm, so its
        statistics are those of one process's share of the batch.
        """
        if idist.get_world_size() == 1:
            return self.wrapper
        on_gpu = self.device.type == "cuda"
        if on_gpu:
            self.wrapper = nn.SyncBatchNorm.convert_sync_batchnorm(self.wrapper)
        return DistributedDataParallel(
            self.wrapper,
            device_ids=[self.device.index] if on_gpu else None,
            find_unused_parameters=True,  # a loss need not use the decoder
        )

    def _share_statistics(self) -> None:
        """Give every process the first one's running means, which are those that are saved."""
        if idist.get_world_size() > 1:
            for buffer in self.predicting.buffers():
                torch.distributed.broadcast(buffer, 0)

    def _step_schedule(self, engine: Engine) -> None:
        self.schedule.step()

    def _done(self, epoch: int) -> bool:
        training, best = self.experiment.training, self.checkpoint.best_epoch
        waited = training.patience is not None and best > 0 and epoch - best >= training.patience
        return epoch >= training.epochs or waited

    def _evaluate_inner(self) -> dict[str, float]:
        if self.data.inner is None:
            return {}
        found = collect(
            self.predicting,
            self.data.inner,
            batch_size=self.experiment.training.batch_size,
            device=self.device,
            precision=self.experiment.training.precision,
            loss_function=self.loss.eval(),  # epochs are compared by one loss
        )
        self.loss.train()
        values = probabilities(found.scores.double(), self.wrapper.score_kind).numpy()
        targets = self.data.inner_targets
        result = {
            "loss": float(found.loss or 0.0),
            "accuracy": accuracy(targets, values.argmax(axis=1)),
        }
        if len(np.unique(targets)) == values.shape[1]:
            result["auc"] = macro_auc(targets, values)
        return result

    def _training_loader(self) -> DataLoader:
        training = self.experiment.training
        sampler = EpochSampler(
            self.data.train_targets.tolist(),
            seed_key=self.fit.key,
            sampling=training.sampling,
            rank=idist.get_rank(),
            world=idist.get_world_size(),
            batch_size=self._batch_size() if self._ends_in_one_location() else None,
        )
        pinned = self.device.type == "cuda"
        return build_loader(self.data.train, sampler, self._batch_size(), training.workers, pinned)

    def _ends_in_one_location(self) -> bool:
        """Whether the last batch norms have no more values a channel than there are cases."""
        shape = getattr(self.wrapper.network, "feature_shape", ())
        return len(shape) > 1 and math.prod(shape[1:]) == 1

    def _batch_size(self) -> int:
        """Cases of a step in this process."""
        return max(1, self.experiment.training.batch_size // idist.get_world_size())

    def _batch_shape(self) -> tuple[int, ...]:
        patch = self.experiment.patch
        cases = min(self._batch_size(), max(1, len(self.data.train) // idist.get_world_size()))
        return (cases, patch.channels, *patch.size)

    def _facts(self, network: Any, classes: tuple[str, ...]) -> dict[str, Any]:
        patch = self.experiment.patch
        return {
            "model": self.fit.model,
            "network_name": network.name,
            "classes": list(classes),
            "score_kind": self.wrapper.score_kind,
            "spatial_dims": patch.spatial_dims,
            "in_channels": patch.channels,
            "input_size": list(patch.size),
        }
