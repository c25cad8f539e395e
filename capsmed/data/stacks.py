"""Tables whose rows are places in one NumPy array."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from capsmed.data.images import located
from capsmed.data.problems import Problem
from capsmed.data.table import number
from capsmed.errors import DataError

_POINTS = ("x", "y", "z", "column", "row", "markup", "mask")


def is_stack(table: pd.DataFrame) -> bool:
    """Whether every row names the same .npy file and a column ``index`` says which case of it."""
    names = set(table["image"])
    return "index" in table and len(names) == 1 and names.pop().lower().endswith(".npy")


def open_stack(table: pd.DataFrame, root: Path) -> np.ndarray:
    """The array, left on the disk: [case, row, column(, 3)] or [case, x, y, z].

    Raises:
        DataError: missing, damaged, of another shape, or the table gives points, which nobody
            could place in it.
    """
    path = located(table["image"].iloc[0], root)
    pointed = [name for name in _POINTS if name in table and (table[name] != "").any()]
    if pointed:
        raise DataError(
            f"{path.name}: expected no points, as the cases of an array are cut around their "
            f"centre, got the columns {', '.join(pointed)}; rename or remove them"
        )
    try:
        images = np.load(path, mmap_mode="r", allow_pickle=False)
    except (EOFError, OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as a NumPy array ({error})") from error
    if images.dtype.kind not in "biuf" or images.ndim not in (3, 4) or not images.size:
        raise DataError(
            f"{path}: expected numbers as [case, row, column], [case, row, column, 3] or "
            f"[case, x, y, z], got {images.dtype} {list(images.shape)}"
        )
    return images


def positions(
    table: pd.DataFrame, left_out: Mapping[int, str], count: int
) -> tuple[np.ndarray, list[Problem]]:
    """The case of the array that each row names, int [rows]; -1 and a fault where there is none."""
    found, faults = np.full(len(table), -1), []
    for row, text in enumerate(table["index"]):
        value = number(text)
        if value is not None and np.isfinite(value) and value == int(value) and 0 <= value < count:
            found[row] = int(value)
        elif row not in left_out:
            detail = f"index: expected a whole number from 0 to {count - 1}, got '{text}'"
            faults.append(Problem(row, detail, "index is not in the array"))
    return found, faults
