"""The trainings of a run: each model, repeat, seed and fold, and where it lives."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from capsmed.config import Experiment

ORDINARY_HEAD, AVERAGE_HEAD = "ordinary_head", "average_head"
DENSENET, RESNET = "densenet121", "resnet18"
#: Networks of MONAI's under their backbones' names: whole, and from chance.
MONAI = (DENSENET, RESNET)
#: Baselines that are trained.
TRAINED = (ORDINARY_HEAD, AVERAGE_HEAD, *MONAI)


def trained(experiment: Experiment) -> list[str]:
    """The baselines of an experiment that are trained as its network is."""
    return [name for name in TRAINED if name in experiment.baselines.models]


@dataclass(frozen=True)
class Fit:
    """One training: a model, a repeat of the folds, a seed, a fold, and the folder it lives in.

    ``tuning`` is the folder of the search for the fold's hyper-parameters, where there is one.
    """

    model: str
    repeat: int
    seed: int
    fold: int
    folder: Path
    tuning: Path | None = None

    @property
    def key(self) -> tuple[int, int, int]:
        """What all randomness of this training is derived from."""
        return (self.seed, self.repeat, self.fold)

    @property
    def run(self) -> Path:
        """The run folder, which a baseline's trainings lie two folders deeper in."""
        home = self.folder.parents[2]
        return home.parents[1] if self.model in TRAINED else home

    @property
    def finished(self) -> bool:
        """Whether ``fold.json``, the last file of a fold, is there."""
        return (self.folder / "fold.json").exists()


def list_fits(run: Path, experiment: Experiment, splits: pd.DataFrame) -> list[Fit]:
    """Return all trainings of the run in ``run`` in order, finished or not.

    The configured network's folders are ``repeat-R/seed-S/fold-F``; those of a baseline that is
    trained lie below ``baselines/<model>``. The search of a fold, one for all seeds, lives in
    ``tuning/<model>/repeat-R/fold-F``.
    """
    homes = {experiment.network.name: run}
    homes |= {name: run / "baselines" / name for name in trained(experiment)}
    pairs = splits[["repeat", "fold"]].drop_duplicates().itertuples(index=False)
    searched = bool(experiment.tuning.space)

    def one(model: str, home: Path, repeat: int, seed: int, fold: int) -> Fit:
        folder = home / f"repeat-{repeat}/seed-{seed}/fold-{fold}"
        tuning = run / f"tuning/{model}/repeat-{repeat}/fold-{fold}" if searched else None
        return Fit(model, repeat, seed, fold, folder, tuning)

    return [
        one(model, home, int(repeat), seed, int(fold))
        for repeat, fold in pairs
        for seed in experiment.seeds
        for model, home in homes.items()
    ]
