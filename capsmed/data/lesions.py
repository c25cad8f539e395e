"""Where each row's lesion is and how large: from the table, or from the files that it names."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from capsmed import config
from capsmed.data import diameters, placing, points
from capsmed.data.problems import Problem


@dataclass(frozen=True)
class Lesions:
    """What is known of all rows, and what is wrong with some.

    Attributes:
        columns: ``x``, ``y``, ``z`` (RAS+ mm; absent without points), ``point_from``,
            ``diameter_mm`` (NaN if unknown) and ``diameter_from``, by name.
        faults: of rows.
        skips: reasons to leave rows out whatever the config says of bad ones, by position.
    """

    columns: Mapping[str, Any]
    faults: list[Problem] = field(default_factory=list)
    skips: Mapping[int, str] = field(default_factory=dict)


def find(
    rows: pd.DataFrame, data: config.Data, file: str, passed: Collection[int], root: Path
) -> Lesions:
    """Points and diameters of the rows; files are opened only where they are needed.

    Args:
        rows: the table, its images resolved.
        data: frame, first pixel, diameter column, checks.
        file: the table's name, for messages.
        passed: positions of rows for which nothing is opened.
        root: folder that paths are relative to.

    Raises:
        DataError: a column is missing, or the config does not say what the numbers mean.
    """
    ways, faults = points.ways(rows, data, file)
    places, misplaced = points.to_ras(rows, ways, data.frame)
    sizes, unsized = _from_column(rows, data.diameter)
    faults = faults + misplaced + unsized
    measured = np.isnan(sizes)
    measured[[fault.position for fault in unsized]] = False
    origin = np.where(np.isnan(sizes), "", "column").astype(object)
    tasks = placing.tasks(rows.to_dict("records"), ways, measured, data.first_pixel, passed)
    skips = {}
    for position, found in placing.read(tasks, data.checks, root).items():
        if found.fault is not None:
            faults.append(found.fault)
        if found.skip:
            skips[position] = found.skip
        if found.point is not None:
            places[position] = found.point
        if found.diameter is not None:
            sizes[position], origin[position] = found.diameter, "mask"
    named = {"point_from": ways, "diameter_mm": sizes, "diameter_from": origin}
    return Lesions({**points.columns(places), **named}, faults, skips)


def in_arrays(rows: pd.DataFrame, data: config.Data) -> Lesions:
    """The rows of a stack: cut around the centre, diameters from a column only."""
    sizes, faults = _from_column(rows, data.diameter)
    origin = np.where(np.isnan(sizes), "", "column").astype(object)
    columns = unknown(len(rows)) | {"diameter_mm": sizes, "diameter_from": origin}
    return Lesions(columns, faults)


def unknown(count: int) -> dict[str, Any]:
    """The columns of rows of which nothing is known."""
    return {
        "point_from": [points.CENTRE] * count,
        "diameter_mm": np.full(count, np.nan),
        "diameter_from": [""] * count,
    }


def _from_column(rows: pd.DataFrame, named: str | None) -> tuple[np.ndarray, list[Problem]]:
    column = diameters.column_of(rows, named)
    if column is None:
        return np.full(len(rows), np.nan), []
    return diameters.from_column(rows, column)
