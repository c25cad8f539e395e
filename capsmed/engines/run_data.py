"""Everything a run reads before it trains: cohort, patches, and who is in which fold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from capsmed.config import Augmentation, Experiment
from capsmed.data.cohort import Cohort
from capsmed.data.patches import PatchSet
from capsmed.data.progress import tell
from capsmed.data.splits import assign
from capsmed.engines.fit import FoldData
from capsmed.engines.fits import Fit
from capsmed.engines.tabular_baselines import check_columns
from capsmed.engines.tuning.inner_folds import check_inner_folds
from capsmed.engines.tuning.space import widest
from capsmed.errors import ConfigError


@dataclass(frozen=True)
class RunData:
    """A cohort, its patches in the order of ``cohort.included``, and its splits."""

    cohort: Cohort
    patches: PatchSet
    splits: pd.DataFrame

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

    The folds are drawn first, because a cohort that cannot be split should fail before its
    images are read; they are drawn again if ``on_bad_case: skip`` leaves cases out.

    Args:
        experiment: the configuration.
        base: folder that a relative cohort path is relative to.
        data_root: folder that image paths are relative to; default the table's own.
        show: whether to draw progress bars.

    Raises:
        DataError: the cohort cannot be used as it is; every bad row is listed.
    """
    cohort = Cohort.read(experiment.data, base, data_root)
    check_columns(experiment, cohort)
    splits = assign(cohort, experiment.split)
    _check_inner(experiment, cohort, splits)
    check_inner_folds(cohort, splits, experiment)
    patches = PatchSet.load(
        cohort,
        cohort.included,
        experiment.patch,
        widest(experiment),
        progress=show,
        on_bad=experiment.data.on_bad_case,
    )
    if show:
        tell(patches.remarks())
    if patches.excluded:
        cohort = cohort.exclude(patches.excluded)
        splits = assign(cohort, experiment.split)
    return RunData(cohort, patches, splits)


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
