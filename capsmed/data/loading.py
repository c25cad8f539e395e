"""Reading every case's patch into one tensor, and saying which cases cannot be read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch

from capsmed import config
from capsmed.data import problems
from capsmed.data.cohort import Cohort
from capsmed.data.cut import check_suits, cut, start_of, window
from capsmed.data.problems import Problem
from capsmed.data.progress import Progress
from capsmed.data.volume import Volume, from_array
from capsmed.errors import ConfigError, DataError


def fill_from_arrays(
    images: torch.Tensor,
    cohort: Cohort,
    rows: pd.DataFrame,
    patch: config.Patch,
    progress: Progress,
) -> None:
    """Centre crops or zero-padded arrays; all are alike, so whole blocks are copied."""
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


def fill_from_files(
    images: torch.Tensor,
    cohort: Cohort,
    rows: pd.DataFrame,
    patch: config.Patch,
    margin: tuple[int, ...],
    progress: Progress,
    on_bad: problems.OnBad,
) -> dict[str, str]:
    """Patches of image files; those that cannot be cut stay 0 and are given with their reason."""
    faults = []
    unsuited: list[ConfigError] = []
    opened: tuple[str, Any] = ("", None)
    for position, row in enumerate(rows.to_dict("records")):
        try:
            if opened[0] != row["image"]:  # the lesions of one scan follow one another
                opened = (row["image"], cohort.volume(row))
            images[position] = torch.from_numpy(
                cut(opened[1], _point(row, opened[1]), patch, margin)
            )
        except ConfigError as error:
            place = f"{cohort.file} {cohort.place(row['case_id'])}"
            unsuited.append(ConfigError(f"{error} ({place})"))
            faults.append(Problem(position, f"image '{row['image']}': {error}", "unsuited image"))
        except Exception as error:  # any decoder may fail in its own way
            faults.append(_fault(position, row, error))
        progress(position + 1, len(rows))
    if len(unsuited) == len(rows):
        raise unsuited[0]  # the patch suits none of them: the configuration is at fault
    cases = list(rows["case_id"])
    places = {i: cohort.place(case) for i, case in enumerate(cases)}
    reasons = problems.settle(faults, cohort.file, places, on_bad)
    return {cases[i]: reason for i, reason in reasons.items()}


def _point(row: Mapping[str, Any], volume: Volume) -> np.ndarray | None:
    if not isinstance(row.get("x"), float):
        return None
    if len(volume.shape) == 3 and not isinstance(row.get("z"), float):
        raise DataError("point: expected x, y and z in mm, got no z; add the column z")
    return np.array([row["x"], row["y"], row.get("z", 0.0)])


def _fault(position: int, row: Mapping[str, Any], error: Exception) -> Problem:
    text = str(error) or type(error).__name__
    if not isinstance(error, DataError):
        return Problem(position, f"image '{row['image']}': cannot be read ({text})", "unreadable")
    if "outside the volume" in text:
        return Problem(position, text, "point outside the volume")
    if "NaN or infinite" in text:
        return Problem(position, f"image '{row['image']}': {text}", "NaN or infinite voxels")
    return Problem(position, f"image '{row['image']}': {text}", "image cannot be read")
