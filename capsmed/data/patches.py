"""Patches of all cases, cut once and kept in memory; views of them for each part of a fold."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.utils.data import Dataset

from capsmed import config
from capsmed.data import augmentation as augmenting
from capsmed.data import problems
from capsmed.data.cohort import Cohort
from capsmed.data.loading import Filled, fill_from_arrays, fill_from_files
from capsmed.data.progress import Progress, shown

MUCH_PADDING = 0.25  # share of a patch beyond the border that is worth a line

Key = int | tuple[int, int]
Item = dict[str, Any]


class PatchSet(Dataset):
    """Deterministic patches, each with the margin that the augmentation needs.

    Items are the centre of each patch, unchanged; ``view`` gives parts and augments.

    Attributes:
        images: float32 [N, C, *size + 2 * margin], 0 to 1.
        targets: int64 [N], class index.
        case_ids: [N].
        size: voxels of an item.
        margin: voxels more on each side of ``images``.
        spacing: mm along each axis; ones when the image's own voxels are taken.
        excluded: reason by case_id for the cases that could not be read.
        padded: share of each patch's voxels, without margin, that lie outside the image, [N].
        findings: by case_id, the checks that its image fails and that are only warned of.
    """

    def __init__(
        self,
        images: torch.Tensor,
        targets: torch.Tensor,
        case_ids: Sequence[str],
        patch: config.Patch,
        augmentation: config.Augmentation,
        excluded: Mapping[str, str] | None = None,
        padded: np.ndarray | None = None,
        findings: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        self.images, self.targets = images, targets
        self.case_ids = list(case_ids)
        self.size = tuple(patch.size)
        self.spacing = _spacing(patch)
        self.augmentation = augmentation
        self.margin = augmenting.margins(augmentation, self.size, self.spacing)[0]
        self.excluded = dict(excluded or {})
        self.padded = np.zeros(len(targets)) if padded is None else padded
        self.findings = dict(findings or {})
        expected = tuple(n + 2 * m for n, m in zip(self.size, self.margin, strict=True))
        if tuple(images.shape[2:]) != expected:
            raise ValueError(f"images: expected [N, C, {expected}], got {tuple(images.shape)}")

    @classmethod
    def load(
        cls,
        cohort: Cohort,
        rows: pd.DataFrame,
        patch: config.Patch,
        augmentation: config.Augmentation,
        progress: Progress | bool | None = None,
        on_bad: problems.OnBad = "error",
    ) -> PatchSet:
        """Cut the patches of ``rows`` (of ``cohort.included``), or take them from the cache.

        Args:
            cohort: where the images are.
            rows: with ``case_id``, ``target`` and what names the image and the point.
            patch: what to cut.
            augmentation: decides the margin, and what ``view`` does.
            progress: called with (cases done, cases in all); True shows a bar on the terminal.
            on_bad: 'skip' leaves unusable cases out and lists them in ``excluded``; a case whose
                image fails a check of the policy 'skip' is always left out.

        Raises:
            ConfigError: the patch does not suit these images.
            DataError: unreadable images, points outside, NaN voxels: every bad row is listed.
        """
        margin = augmenting.margins(augmentation, patch.size, _spacing(patch))[0]
        size = tuple(n + 2 * m for n, m in zip(patch.size, margin, strict=True))
        images = torch.zeros((len(rows), patch.channels, *size))
        with shown(progress) as step:
            if cohort.images is not None:
                share = fill_from_arrays(images, cohort, rows, patch, step)
                read = Filled({}, np.full(len(rows), share), {})
            else:
                read = fill_from_files(images, cohort, rows, patch, margin, step, on_bad)
        good = np.flatnonzero(~rows["case_id"].isin(read.reasons).to_numpy())
        kept = rows.iloc[good]
        targets = torch.tensor(kept["target"].to_numpy(np.int64))
        images = images if len(good) == len(rows) else images[torch.from_numpy(good)]
        return cls(
            images,
            targets,
            list(kept["case_id"]),
            patch,
            augmentation,
            read.reasons,
            read.padded[good],
            read.findings,
        )

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, key: Key) -> Item:
        return self.view(np.arange(len(self)), augment=False, seed_key=())[key]

    def positions(self, case_ids: Sequence[str]) -> np.ndarray:
        """Where these cases stand in ``images``, int [len(case_ids)]."""
        where = {case: position for position, case in enumerate(self.case_ids)}
        return np.array([where[case] for case in case_ids], dtype=int)

    def described(self, case_ids: Iterable[str]) -> dict[str, list[Any]]:
        """Columns for a table of cases: ``padded`` (NaN for a case without patch), ``findings``."""
        shares = dict(zip(self.case_ids, self.padded.round(4).tolist(), strict=True))
        cases = list(case_ids)
        return {
            "padded": [shares.get(case, np.nan) for case in cases],
            "findings": [" ".join(self.findings.get(case, ())) for case in cases],
        }

    def remarks(self) -> list[str]:
        """What a user should know, a line each: cases left out, much padding, warned checks."""
        lines = [
            f"{count} of {len(self) + len(self.excluded)} cases left out: {reason}"
            for reason, count in sorted(Counter(self.excluded.values()).items())
        ]
        much = int((self.padded > MUCH_PADDING).sum())
        if much:
            lines.append(
                f"{much} of {len(self)} patches lie more than a quarter beyond the border of their "
                f"image (at most {self.padded.max():.0%}) and are air there; see the column padded "
                "of cohort.csv"
            )
        counts = Counter(check for checks in self.findings.values() for check in checks)
        for check, count in sorted(counts.items()):
            meaning = config.Checks.model_fields[check].description
            lines.append(f"data.checks.{check}: {count} of {len(self)} cases ({meaning})")
        return lines

    def augmented(self, augmentation: config.Augmentation) -> PatchSet:
        """The same patches under another augmentation that needs no wider margin; no copy.

        Raises:
            ValueError: it needs a wider one.
        """
        needed = augmenting.margins(augmentation, self.size, self.spacing)[0]
        less = [here - there for here, there in zip(self.margin, needed, strict=True)]
        if min(less) < 0:
            raise ValueError(
                f"augmentation: expected one that needs a margin of at most {self.margin}, got "
                f"{needed}"
            )
        sides = zip(less, self.images.shape[2:], strict=True)
        box = (slice(cut, n - cut) for cut, n in sides)
        found = copy.copy(self)
        found.images = self.images[(slice(None), slice(None), *box)]
        found.augmentation, found.margin = augmentation, needed
        return found

    def view(
        self, indices: Sequence[int] | np.ndarray, *, augment: bool, seed_key: tuple[int, ...]
    ) -> PatchView:
        """A part of the set that shares its tensors.

        Args:
            indices: places in this set.
            augment: whether to change the patches at random.
            seed_key: integers that, with the epoch and the case, decide those changes.
        """
        return PatchView(self, np.asarray(indices, dtype=int), augment, tuple(seed_key))


class PatchView(Dataset):
    """Part of a PatchSet, its tensors shared.

    ``view[(epoch, i)]``, or ``view[i]`` for epoch 0, gives ``image`` float32 [C, *size], ``label``
    an int64 scalar, and ``index`` the case's place in the PatchSet.
    """

    def __init__(
        self, patches: PatchSet, indices: np.ndarray, augment: bool, seed_key: tuple[int, ...]
    ) -> None:
        self.patches, self.indices = patches, indices
        self.augment, self.seed_key = augment, seed_key
        self._drawn: tuple[int, augmenting.Draws] | None = None

    @property
    def targets(self) -> torch.Tensor:
        """Class index of each case of the view, int64 [n]."""
        return self.patches.targets[torch.from_numpy(self.indices)]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, key: Key) -> Item:
        return self.__getitems__([key])[0]

    def __getitems__(self, keys: Sequence[Key]) -> list[Item]:
        """The items of one batch; a DataLoader calls this with a batch's keys."""
        pairs = [key if isinstance(key, tuple) else (0, key) for key in keys]
        epochs = {epoch for epoch, _ in pairs}
        if len(epochs) > 1:
            return [self[key] for key in keys]
        cases = self.indices[[index for _, index in pairs]]
        images = self.batch(cases, epochs.pop())
        labels = self.patches.targets[torch.from_numpy(cases)]
        return [
            {"image": image, "label": label, "index": int(case)}
            for image, label, case in zip(images, labels, cases, strict=True)
        ]

    def batch(self, cases: np.ndarray, epoch: int) -> torch.Tensor:
        """Images [B, C, *size] of these places in the PatchSet, as they are in ``epoch``."""
        patches = self.patches
        if self.augment:
            return augmenting.augment(
                patches.images,
                self._draws(epoch),
                cases,
                patches.augmentation,
                patches.size,
                patches.spacing,
            )
        box = (slice(m, m + n) for m, n in zip(patches.margin, patches.size, strict=True))
        centres = patches.images[(slice(None), slice(None), *box)]
        return centres[torch.from_numpy(cases)]

    def _draws(self, epoch: int) -> augmenting.Draws:
        if self._drawn is None or self._drawn[0] != epoch:
            patches = self.patches
            drawn = augmenting.draw(
                patches.augmentation, len(patches), len(patches.size), self.seed_key, epoch
            )
            self._drawn = (epoch, drawn)
        return self._drawn[1]


def _spacing(patch: config.Patch) -> tuple[float, ...]:
    given = 1.0 if patch.spacing is None else patch.spacing
    return tuple(float(mm) for mm in np.broadcast_to(given, patch.spatial_dims))
