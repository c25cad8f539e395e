"""The lesions' diameters: a column of the table, or measured on its masks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from capsmed.data.problems import Problem
from capsmed.data.table import number
from capsmed.data.volume import Volume
from capsmed.errors import DataError

COLUMNS = ("diameter_mm", "eq_diameter_mm")


def column_of(table: pd.DataFrame, named: str | None) -> str | None:
    """The column that holds diameters; None when there is none.

    Raises:
        DataError: the column named in the config is not in the table.
    """
    if named is not None and named not in table:
        columns = ", ".join(str(name) for name in table.columns)
        raise DataError(f"data.diameter: no column {named!r}; the table has {columns}")
    return named or next((name for name in COLUMNS if name in table), None)


def from_column(table: pd.DataFrame, column: str) -> tuple[np.ndarray, list[Problem]]:
    """Diameters in mm, NaN where the cell is empty; anything but a positive number is a fault."""
    values, problems = [], []
    for position, text in enumerate(table[column]):
        value = number(text)
        if text and (value is None or not value > 0 or not np.isfinite(value)):
            detail = f"{column}: expected a diameter in mm, got '{text}'"
            problems.append(Problem(position, detail, "diameter is not a positive number"))
            value = None
        values.append(np.nan if value is None else value)
    return np.array(values, dtype=float), problems


def from_masks(
    rows: Sequence[Mapping[str, Any]], open_mask: Callable[[str], Volume]
) -> tuple[np.ndarray, list[Problem]]:
    """Diameters of the spheres that hold as much as each row's mask, mm; NaN without a mask.

    Raises nothing itself: a mask that is unreadable, empty, flat or shared by several rows is
    given back as that row's fault.
    """
    names = [str(row.get("mask", "")) for row in rows]
    uses = Counter(names)
    values, problems = np.full(len(rows), np.nan), []
    for position, name in enumerate(names):
        if not name:
            continue
        try:
            if uses[name] > 1:
                raise DataError("the mask serves several rows; give a diameter column")
            values[position] = sphere_diameter(open_mask(name))
        except Exception as error:  # any decoder may fail in its own way
            problems.append(Problem(position, f"mask '{name}': {error}", "mask cannot be measured"))
    return values, problems


def sphere_diameter(mask: Volume) -> float:
    """Diameter in mm of the sphere with the volume of the voxels above 0.5: (6 V / pi)^(1/3).

    Raises:
        DataError: the mask is empty, or has no millimetres.
    """
    if not mask.has_mm or len(mask.shape) != 3:
        raise DataError("expected a 3D mask in mm (NIfTI or DICOM)")
    voxels = int((mask.read(None) > 0.5).sum())
    if voxels == 0:
        raise DataError("the mask is empty")
    voxel_mm3 = abs(float(np.linalg.det(mask.affine[:3, :3])))
    return float((6.0 * voxels * voxel_mm3 / np.pi) ** (1 / 3))
