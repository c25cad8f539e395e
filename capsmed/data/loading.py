"""Reading every case's patch into one tensor, and saying which cases cannot be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from capsmed import config
from capsmed.data import problems
from capsmed.data.cohort import Cohort
from capsmed.data.cut import check_suits, padded_share, start_of, window
from capsmed.data.problems import Problem
from capsmed.data.progress import Progress
from capsmed.data.reading import cut_all
from capsmed.data.volume import from_array
from capsmed.errors import CheckFailed, ConfigError, DataError


def fill_from_arrays(
    images: torch.Tensor,
    cohort: Cohort,
    rows: pd.DataFrame,
    patch: config.Patch,
    progress: Progress,
) -> float:
    """Centre crops or zero-padded arrays; all are alike, so whole blocks are copied.

    Returns:
        The share of each patch's voxels that lie outside its array.
    """
    arrays = np.asarray(cohort.images)
    example = from_array(arrays[0], cohort.value_range, "arrays")
    check_suits(example, patch)
    if len(example.shape) != patch.spatial_dims:
        raise ConfigError(
            f"patch.spatial_dims: expected {len(example.shape)}, as the arrays of {cohort.file} "
            f"have, got {patch.spatial_dims}"
        )
    low, high = window(example, patch)
    shape, size = np.array(example.shape), np.array(images.shape[2:])
    start = start_of((shape - 1) / 2, size)
    first, last = np.clip(start, 0, shape), np.clip(start + size, 0, shape)
    source = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
    target = tuple(slice(a, b) for a, b in zip(first - start, last - start, strict=True))
    positions = rows["position"].to_numpy()
    for begin in range(0, len(rows), 2048):
        block = positions[begin : begin + 2048]
        values = arrays[block].astype(np.float32)
        picture = len(shape) == 2
        values = np.swapaxes(values, 1, 2) if picture else values
        values = np.moveaxis(values, -1, 1) if values.ndim > len(shape) + 1 else values[:, None]
        values = (np.clip(values[(..., *source)], low, high) - low) / (high - low)
        images[(slice(begin, begin + 2048), slice(None), *target)] = torch.from_numpy(values)
        progress(min(begin + 2048, len(rows)), len(rows))
    return padded_share(example, None, patch)


@dataclass(frozen=True)
class Filled:
    """What reading the images of a cohort has told, beside their voxels.

    Attributes:
        reasons: by case_id, why a case has no patch.
        padded: share of each row's voxels that lie outside its volume, [rows].
        findings: by case_id, the checks that its image fails and that are only warned of.
    """

    reasons: Mapping[str, str]
    padded: np.ndarray
    findings: Mapping[str, tuple[str, ...]]


def fill_from_files(
    images: torch.Tensor,
    cohort: Cohort,
    rows: pd.DataFrame,
    patch: config.Patch,
    margin: tuple[int, ...],
    progress: Progress,
    on_bad: problems.OnBad,
) -> Filled:
    """Patches of image files; those that cannot be cut stay 0 and are given with their reason.

    Each image is opened once and cut by one of as many threads as there are cores. A case whose
    image fails a check of the policy 'skip' is left out whatever ``on_bad`` says.
    """
    answers = cut_all(cohort, rows.to_dict("records"), patch, margin, images.numpy(), progress)
    faults, unsuited = [], []
    reasons: dict[str, str] = {}
    padded, findings = np.zeros(len(rows)), {}
    cases = list(rows["case_id"])
    for position, (answer, name) in enumerate(zip(answers, rows["image"], strict=True)):
        if isinstance(answer, CheckFailed) and answer.skips:
            reasons[cases[position]] = answer.reason
        elif isinstance(answer, ConfigError):
            unsuited.append(f"{answer} ({cohort.file} {cohort.place(cases[position])})")
            faults.append(Problem(position, f"image '{name}': {answer}", "unsuited image"))
        elif isinstance(answer, DataError):
            faults.append(Problem(position, str(answer), answer.reason))
        else:
            padded[position] = answer.padded
            if answer.findings:
                findings[cases[position]] = answer.findings
    if unsuited and len(unsuited) == len(rows):
        raise ConfigError(unsuited[0])  # it suits none of them: the configuration is at fault
    places = {i: cohort.place(case) for i, case in enumerate(cases)}
    settled = problems.settle(faults, cohort.file, places, on_bad)
    reasons |= {cases[i]: reason for i, reason in settled.items()}
    return Filled(reasons, padded, findings)
