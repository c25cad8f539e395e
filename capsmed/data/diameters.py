"""The lesions' diameters in a column of the table."""

from __future__ import annotations

import numpy as np
import pandas as pd

from capsmed.data.problems import Problem
from capsmed.data.table import number
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
