"""A finished run opened again: its networks, and the test cases to look at."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from capsmed import config
from capsmed.config import Experiment
from capsmed.data.cohort import Cohort
from capsmed.data.patches import PatchSet
from capsmed.data.progress import tell
from capsmed.engines import acceleration, components
from capsmed.engines.evaluate import find_fits
from capsmed.engines.evaluation import load_network
from capsmed.engines.finish import Labels
from capsmed.engines.fits import Fit
from capsmed.engines.inside.probe import routings
from capsmed.engines.run_folder import RunFolder
from capsmed.engines.tuning.chosen import of_fold
from capsmed.errors import ConfigError, DataError


@dataclass(frozen=True)
class Opened:
    """One seed of a run: a network for each fold, and which of its test cases to look at.

    Attributes:
        experiment: the configuration.
        labels: what the classes are.
        networks: of each training, in evaluation mode.
        cases: case ids of each training, all of its test part or drawn from it.
        tested: number of test cases there are.
        patches: of all these cases.
        shown: the training whose cases are drawn.
        device: where the networks are.
    """

    experiment: Experiment
    labels: Labels
    networks: dict[Fit, nn.Module]
    cases: dict[Fit, list[str]]
    tested: int
    patches: PatchSet
    shown: Fit
    device: torch.device

    def batches(self, fit: Fit) -> Iterator[tuple[Tensor, Tensor]]:
        """Images and class indices of the cases of ``fit``, some at a time, on the device."""
        size = max(self.experiment.training.batch_size, 32)
        for start in range(0, len(self.cases[fit]), size):
            yield self.images(self.cases[fit][start : start + size])

    def images(self, case_ids: list[str]) -> tuple[Tensor, Tensor]:
        """Images ``[n, channels, ...]`` and class indices ``[n]`` of these cases."""
        places = self.patches.positions(case_ids)
        view = self.patches.view(places, augment=False, seed_key=())
        return view.batch(places, 0).to(self.device), view.targets.to(self.device)


def reopen(
    run: Path,
    *,
    measured: int,
    fold: int | None,
    seed: int | None,
    data_root: Path | None,
    device: torch.device,
    allow_import: Collection[str],
) -> Opened:
    """Open ``run``; see `inspect_run` for arguments and errors."""
    folder = RunFolder(Path(run))
    loaded = config.load_run(folder.path)
    experiment = loaded.experiment
    components.check_components(experiment, allow_import)
    acceleration.prepare(experiment.training, device)
    fits = _of_one_seed(find_fits(folder, experiment), experiment, seed)
    shown, labels = _shown(fits, fold), Labels.read(folder)
    fits = _alike(fits, shown, experiment, fold)
    networks = {fit: load_network(fit, experiment, labels, device).network for fit in fits}
    check_capsules(networks[shown], experiment.network.name)
    cohort = _unchanged(folder, Cohort.read(experiment.data, loaded.base, data_root))
    tests = {fit: _test_cases(folder, fit) for fit in fits}
    cases = _drawn(tests, measured)
    wanted = {case for some in cases.values() for case in some}
    rows = cohort.included
    patches = PatchSet.load(
        cohort,
        rows[rows["case_id"].isin(wanted)].reset_index(drop=True),
        experiment.patch,
        experiment.augmentation,  # not used, but decides the margin and so the cache's files
        progress=True,
    )
    tell(patches.remarks())
    tested = sum(map(len, tests.values()))
    return Opened(experiment, labels, networks, cases, tested, patches, shown, device)


def check_capsules(network: nn.Module, name: str) -> None:
    """Refuse a network that has no class capsules made by a routing.

    Raises:
        ConfigError: there is nothing to inspect.
    """
    if not hasattr(network, "capsules") or not routings(network):
        raise ConfigError(
            f"network: expected a capsule network, got {name}; only networks with capsules "
            "and a routing can be inspected"
        )


def _of_one_seed(fits: list[Fit], experiment: Experiment, seed: int | None) -> list[Fit]:
    seeds = sorted({fit.seed for fit in fits})
    if seed is not None and seed not in seeds:
        raise ConfigError(f"--seed: expected one of the run's seeds {seeds}, got {seed}")
    seed = experiment.seeds[0] if seed is None else seed
    mine = [f for f in fits if f.seed == seed and f.model == experiment.network.name]
    return [fit for fit in mine if fit.repeat == mine[0].repeat]


def _shown(fits: list[Fit], fold: int | None) -> Fit:
    by_fold = {fit.fold: fit for fit in fits}
    if fold is None:
        return fits[0]
    if fold not in by_fold:
        raise ConfigError(f"--fold: expected one of the run's folds {sorted(by_fold)}, got {fold}")
    return by_fold[fold]


def _alike(fits: list[Fit], shown: Fit, experiment: Experiment, fold: int | None) -> list[Fit]:
    """The trainings that are pooled: all, or of folds whose networks differ the one that is shown.

    Raises:
        ConfigError: they differ, and no fold is asked for.
    """
    networks = {fit: of_fold(experiment, fit).network for fit in fits}
    if all(network == networks[shown] for network in networks.values()):
        return fits
    if fold is None:
        raise ConfigError(
            "inspect: expected folds of one network, got a search that chose another one for some "
            "of them; look at one with --fold"
        )
    return [shown]


def _unchanged(run: RunFolder, cohort: Cohort) -> Cohort:
    if run.read_json("environment.json").get("data_digest") != cohort.digest:
        raise DataError(
            f"{run.path}: expected the labels and images this run was trained with, got changed "
            "ones; give the folder of the old images with --data-root, or train again"
        )
    return cohort


def _test_cases(run: RunFolder, fit: Fit) -> list[str]:
    splits = run.read_table("splits.csv")
    here = (splits["repeat"] == fit.repeat) & (splits["fold"] == fit.fold)
    return list(splits["case_id"][here & (splits["part"] == "test")])


def _drawn(tests: dict[Fit, list[str]], measured: int) -> dict[Fit, list[str]]:
    """About ``measured`` cases, of each fold its share, without regard to class; at least one."""
    total = sum(map(len, tests.values()))
    drawn = {}
    for fit, cases in tests.items():
        share = max(1, measured * len(cases) // total)
        order = np.random.default_rng(0).permutation(len(cases))[:share]
        drawn[fit] = [cases[place] for place in sorted(order)]
    return drawn
