"""The points of a table: columns x, y, z in mm, turned into RAS+ here and nowhere else."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from capsmed.data.problems import Problem
from capsmed.data.table import number
from capsmed.errors import DataError

AXES = ("x", "y", "z")


def to_ras(
    table: pd.DataFrame, frame: Literal["RAS", "LPS"] | None, file: str
) -> tuple[pd.DataFrame, list[Problem]]:
    """Give the table with x, y, z as RAS+ mm, or without them when no row has a point.

    Pictures need x and y only: columns and rows of pixels, with the frame RAS.

    Raises:
        DataError: some of x, y are missing, or the frame is not named.
    """
    named = [axis for axis in AXES if axis in table and (table[axis] != "").any()]
    if not named:
        return table.drop(columns=[axis for axis in AXES if axis in table]), []
    if named[:2] != ["x", "y"]:
        raise DataError(f"{file}: expected the columns x, y and z in mm, got {', '.join(named)}")
    if frame is None:
        raise DataError(
            f"data.frame: {file} has points (x, y, z), so name their frame: RAS, or LPS as in "
            "LUNA16, ITK and DICOM"
        )
    values, problems = _numbers(table, named)
    if frame == "LPS":
        values[["x", "y"]] *= -1.0
    return table.assign(**{axis: values[axis] for axis in named}), problems


def _numbers(table: pd.DataFrame, named: list[str]) -> tuple[pd.DataFrame, list[Problem]]:
    values, problems = {}, []
    for axis in named:
        column = [number(text) for text in table[axis]]
        for position, value in enumerate(column):
            if value is None or not np.isfinite(value):
                text = f"{axis}: expected mm, got '{table[axis].iloc[position]}'"
                problems.append(Problem(position, text, "point is not a number"))
        values[axis] = np.array([np.nan if v is None else v for v in column], dtype=float)
    return pd.DataFrame(values, index=table.index), problems
