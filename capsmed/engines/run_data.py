"""Everything a run reads before it trains: cohort, patches, and who is in which fold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from capsmed.config import Augmentation, Experiment
from capsmed.data import held_out
from capsmed.data.cohort import Cohort
from capsmed.data.patches import PatchSet
from capsmed.data.progress import tell
from capsmed.data.splits import assign
from capsmed.engines.fit import FoldData
from capsmed.engines.fits import Fit
from capsmed.engines.tabular_baselines import check_columns
from capsmed.engines.tuning.inner_folds import check_inner_folds
from capsmed.engines.tuning.space import widest
from capsmed.errors import ConfigError, DataError


@dataclass(frozen=True)
class Cases:
    """A cohort and its patches in the order of ``cohort.included``."""

    cohort: Cohort
    patches: PatchSet


@dataclass(frozen=True)
class RunData:
    """A cohort, its patches in the order of ``cohort.included``, and its splits.

    ``held_out`` are cases that are in none of these three, or None.
    """

    cohort: Cohort
    patches: PatchSet
    splits: pd.DataFrame
    held_out: Cases | None = None

    def positions(self, fit: Fit, part: str) -> np.ndarray:
        """Return where the cases of a fold's part stand in ``patches``, ascending."""
        splits = self.splits
        here = (splits["repeat"] == fit.repeat) & (splits["fold"] == fit.fold)
        chosen = splits["case_id"][here & (splits["part"] == part)]
        return np.sort(self.patches.positions(list(chosen)))

    def augmented(self, augmentation: Augmentation) -> RunData:
        """The same data under an augmentation that needs no wider margin."""
        return replace(self, patches=self.patches.augmented(augmentation))

    def fold(self, fit: Fit) -> FoldData:
        """Return the datasets that one training uses."""
        training, inner = self.positions(fit, "train"), self.positions(fit, "inner")
        targets, view = self.patches.targets.numpy(), self.patches.view
        return FoldData(
            train=view(training, augment=True, seed_key=fit.key),
            inner=view(inner, augment=False, seed_key=fit.key) if len(inner) else None,
            train_targets=targets[training],
            inner_targets=targets[inner],
        )


def read_data(
    experiment: Experiment, base: Path, data_root: Path | None = None, show: bool = True
) -> RunData:
    """Read the experiment's cohort, draw its folds and cut its patches.

    The held-out part and the folds are drawn first, because a cohort that cannot be split should
    fail before its images are read; the folds are drawn again if ``on_bad_case: skip`` leaves
    cases out, the held-out part is not.

    Args:
        experiment: the configuration.
        base: folder that a relative cohort path is relative to.
        data_root: folder that image paths are relative to; default the table's own.
        show: whether to draw progress bars.

    Raises:
        DataError: the cohort cannot be used as it is; every bad row is listed.
    """
    cohort, held = held_out.divide(Cohort.read(experiment.data, base, data_root), experiment.split)
    check_columns(experiment, cohort)
    splits = assign(cohort, experiment.split)
    _check_inner(experiment, cohort, splits)
    check_inner_folds(cohort, splits, experiment)
    if held is not None:
        _check_held_out(experiment, held)
    kept, patches = load_patches(experiment, cohort, widest(experiment), show)
    if patches.excluded:
        splits = assign(kept, experiment.split)
    if held is None:
        return RunData(kept, patches, splits)
    if show:
        tell([held_out.remark(held)])
    return RunData(kept, patches, splits, Cases(*load_patches(experiment, held, show=show)))


def _check_held_out(experiment: Experiment, held: Cohort) -> None:
    """Find now what would stop the baselines' predictions after the last fold."""
    try:
        check_columns(experiment, held, whole=False)
    except DataError as error:
        raise DataError(f"split.held_out: of the cases held out: {error}") from error


def load_patches(
    experiment: Experiment,
    cohort: Cohort,
    augmentation: Augmentation | None = None,
    show: bool = True,
) -> tuple[Cohort, PatchSet]:
    """Cut a cohort's patches; give them with the cohort without the cases left out in doing so.

    Args:
        experiment: says what to cut, and what to do with bad cases.
        cohort: of the cases.
        augmentation: for which the patches need a margin; None: for none.
        show: whether to draw progress bars and print remarks.

    Raises:
        DataError: images that cannot be used; every bad row is listed.
    """
    patches = PatchSet.load(
        cohort,
        cohort.included,
        experiment.patch,
        augmentation or Augmentation(),
        progress=show,
        on_bad=experiment.data.on_bad_case,
    )
    if show:
        tell(patches.remarks())
    return (cohort.exclude(patches.excluded) if patches.excluded else cohort), patches


def _check_inner(experiment: Experiment, cohort: Cohort, splits: pd.DataFrame) -> None:
    """Refuse what is chosen on inner parts where there are none, and thresholds of many classes."""
    asked, inner = experiment.evaluation.threshold, bool((splits["part"] == "inner").any())
    if experiment.baselines.combined and not inner:
        raise ConfigError(
            "baselines.combined: expected folds with an inner part to weigh the scores on, got "
            "none (split.inner: 0); set one of the two"
        )
    if asked == 0.5:
        return
    if len(cohort.classes) != 2:
        raise ConfigError(
            f"evaluation.threshold: expected 0.5 with {len(cohort.classes)} classes, where the "
            f"most probable one is called, got {asked!r}; leave it out"
        )
    if isinstance(asked, str) and not inner:
        raise ConfigError(
            f"evaluation.threshold: expected a number where folds have no inner part to choose "
            f"on (split.inner: 0), got {asked!r}; set one of the two"
        )
