"""An epoch of training with data loading: the engine beside a bare loop and MONAI's usual way.

Forward, loss, backward and update of every batch of an epoch, of configs/mnist_fast.yaml (20
batches of 128) and configs/lung.yaml (the pictures of a fold, random turns and noise), without an
inner part. The bare loop has its batches in memory: no loading, no augmentation, nothing is kept.
The pictures are noise, on which no time depends.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data import DataLoader, Dataset
from monai.engines import SupervisedTrainer
from monai.engines.utils import PrepareBatchExtraInput
from monai.transforms import (
    Compose,
    EnsureTyped,
    RandAffined,
    RandFlipd,
    RandGaussianNoised,
    RandScaleIntensityd,
    RandShiftIntensityd,
)

from capsmed import config
from capsmed.data.augmentation import margins
from capsmed.data.patches import PatchSet
from capsmed.engines import build
from capsmed.engines.allocator import freed_memory_kept
from capsmed.engines.fit import FoldData, FoldTrainer
from capsmed.engines.fits import Fit
from tests.benchmarks.contest import Bar, Contestant
from tests.benchmarks.flop import training_flop
from tests.benchmarks.standard import named, standard

CONFIGS = {"mnist_fast": (20 * 128, 10), "lung": (160, 2)}  # cases of an epoch, classes
TINY_BATCHES = 2
ROUNDS = 5
OURS, BARE, MONAI = "capsmed", "bare loop, batches in memory", "MONAI dataset, transforms, trainer"
MOST = 1.05  # times the bare loop
Step = Callable[[], object]
_folders: list[tempfile.TemporaryDirectory] = []  # of checkpoints; they go when the process ends


def measure(rounds: int, fast: bool = False) -> dict[str, Any]:
    """The figures of both configurations, each against capsmed's own of that one."""
    found: dict[str, Any] = {"rows": [], "sgemm": {}}
    with freed_memory_kept():  # as training does
        for name in CONFIGS:
            each = standard(
                f"{__name__}:{name}",
                contestants(fast, (name,)),
                rounds,
                fast=fast,
                profiler=False,  # the engine works in another thread
            )
            found["rows"] += each["rows"]
            found["sgemm"] |= {f"{name}: {kind}": value for kind, value in each["sgemm"].items()}
    return found


def contestants(fast: bool = False, names: tuple[str, ...] = tuple(CONFIGS)) -> list[Contestant]:
    """The three ways of each configuration."""
    listed = []
    for name in names:
        trainer = fold_trainer(name, fast)
        for way, start in WAYS.items():
            listed.append(
                Contestant(f"{name}: {way}", partial(start, trainer), epoch_flop(trainer))
            )
    return listed


def mnist_fast() -> list[Contestant]:
    """The three ways of configs/mnist_fast.yaml, each time with data and trainer of their own."""
    return _alone("mnist_fast")


def lung() -> list[Contestant]:
    """The three ways of configs/lung.yaml, each time with data and trainer of their own."""
    return _alone("lung")


def _alone(name: str) -> list[Contestant]:
    return [
        Contestant(f"{name}: {way}", lambda start=start: start(fold_trainer(name, fast=False)))
        for way, start in WAYS.items()
    ]


def bars(result: dict[str, Any]) -> list[Bar]:
    """The engine's epoch costs hardly more than the bare loop's."""
    return [
        Bar(
            f"{name}: epoch over that of the bare loop",
            named(result, f"{name}: {OURS}")["median_s"]
            / named(result, f"{name}: {BARE}")["median_s"],
            MOST,
            most=True,
        )
        for name in CONFIGS
    ]


def fold_trainer(name: str, fast: bool) -> FoldTrainer:
    """What `capsmed train` would train, on pictures of noise, for as long as it is asked to."""
    training = [] if not fast else ["training.batch_size=4"]
    experiment = config.load(
        name, ["data.cohort=noise", "training.epochs=1000", *training]
    ).experiment
    cases, classes = CONFIGS[name]
    cases = TINY_BATCHES * experiment.training.batch_size if fast else cases
    data = FoldData(patches(experiment, cases, classes).view(
        np.arange(cases), augment=True, seed_key=(0, 0, 0)
    ), None, np.arange(cases) % classes, None)  # fmt: skip
    folder = tempfile.TemporaryDirectory(prefix="capsmed-epoch-", ignore_cleanup_errors=True)
    _folders.append(folder)
    fit = Fit(experiment.network.name, 0, 0, 0, Path(folder.name))
    names = tuple(str(number) for number in range(classes))
    return FoldTrainer(fit, experiment, names, data, torch.device("cpu"))


def patches(experiment: config.Experiment, cases: int, classes: int) -> PatchSet:
    """Pictures of noise with the margin that the configuration's augmentation needs."""
    patch = experiment.patch
    given = np.broadcast_to(patch.spacing or 1.0, patch.spatial_dims)
    margin = margins(experiment.augmentation, patch.size, tuple(float(mm) for mm in given))[0]
    size = [n + 2 * m for n, m in zip(patch.size, margin, strict=True)]
    return PatchSet(
        torch.rand(cases, patch.channels, *size),
        torch.arange(cases) % classes,
        [str(case) for case in range(cases)],
        patch,
        experiment.augmentation,
    )


def epoch_flop(trainer: FoldTrainer) -> float:
    """Nominal operations of an epoch: see `training_flop`."""
    image = torch.as_tensor(trainer.data.train[0]["image"][None])
    cases = len(trainer.loader.sampler)  # type: ignore[arg-type]
    return cases * training_flop(trainer.wrapper, image, torch.zeros(1, dtype=torch.long))


def engine(trainer: FoldTrainer) -> Step:
    """Each step lets the engine, which runs in a thread of its own, do one more epoch."""
    go, done = threading.Semaphore(0), threading.Semaphore(0)

    def wait(fit: Fit, row: dict[str, Any]) -> None:
        done.release()
        go.acquire()

    def run() -> None:
        go.acquire()
        trainer.run(wait)

    threading.Thread(target=run, daemon=True).start()

    def step() -> None:
        go.release()
        done.acquire()

    return step


class Again:
    """The same network, loss and optimiser as a trainer's, with weights of their own."""

    def __init__(self, trainer: FoldTrainer) -> None:
        experiment = trainer.experiment
        self.wrapper, _ = build.build_wrapper(
            experiment, experiment.network.name, len(trainer.checkpoint.facts["classes"]), Path()
        )
        trainer.acceleration.apply(self.wrapper)
        self.loss = build.build_loss(experiment.loss)
        self.optimizer = build.build_optimizer(experiment.optimizer, self.wrapper.network)
        self.infer = trainer.inferer()


def bare(trainer: FoldTrainer) -> Step:
    """The shortest loop there is, over batches that are there."""
    own, batches = Again(trainer), list(trainer.loader)
    own.wrapper.train()

    def step() -> None:
        for batch in batches:
            own.optimizer.zero_grad(set_to_none=True)
            output = own.infer(batch["image"], own.wrapper, batch["label"])
            own.loss(output, batch["label"]).backward()
            own.optimizer.step()

    return step


def monai_way(trainer: FoldTrainer) -> Step:
    """MONAI's dataset with dictionary transforms, loader and trainer; torch's default optimiser.

    Nothing is logged or saved.
    """
    own, experiment, view = Again(trainer), trainer.experiment, trainer.data.train
    plain = experiment.optimizer.model_copy(update={"fused": None})
    centres = view.patches.view(view.indices, augment=False, seed_key=())
    items = [{key: item[key] for key in ("image", "label")} for item in map(centres.__getitem__,
             range(len(centres)))]  # fmt: skip
    loader = DataLoader(
        Dataset(items, transforms(experiment)),
        batch_size=experiment.training.batch_size,
        shuffle=True,
        num_workers=0,
    )
    monai = SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=1,
        train_data_loader=loader,
        network=own.wrapper,
        optimizer=build.build_optimizer(plain, own.wrapper.network),
        loss_function=own.loss,
        prepare_batch=PrepareBatchExtraInput(extra_keys="label"),
        inferer=own.infer,
        decollate=False,
    )
    monai.logger.setLevel("CRITICAL")

    def step() -> None:
        monai.state.epoch = monai.state.iteration = 0
        monai.run()

    return step


def transforms(experiment: config.Experiment) -> Compose:
    """The configuration's augmentation by MONAI's transforms of one image at a time."""
    change, dims = experiment.augmentation, experiment.patch.spatial_dims
    turn = float(np.deg2rad(change.rotate))
    chosen: list[Any] = [EnsureTyped(["image", "label"])]
    if change.shift or change.rotate or change.scale:
        chosen.append(
            RandAffined(
                "image",
                prob=1.0,
                rotate_range=[turn] * (1 if dims == 2 else 3) if turn else None,
                translate_range=[change.shift] * dims,
                scale_range=[change.scale] * dims if change.scale else None,
                padding_mode="zeros",
                mode="bilinear" if turn or change.scale else "nearest",
            )
        )
    if change.flip:
        chosen += [RandFlipd("image", prob=0.5, spatial_axis=axis) for axis in range(dims)]
    if change.intensity:
        chosen.append(RandScaleIntensityd("image", change.intensity, prob=1.0))
        chosen.append(RandShiftIntensityd("image", change.intensity, prob=1.0))
    if change.noise:
        chosen.append(RandGaussianNoised("image", prob=1.0, std=change.noise))
    return Compose(chosen)


WAYS: dict[str, Callable[[FoldTrainer], Step]] = {OURS: engine, BARE: bare, MONAI: monai_way}
