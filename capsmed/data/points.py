"""Which way each row of a table gives its point, and the points in mm turned into RAS+."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from capsmed import config
from capsmed.data.problems import Problem
from capsmed.data.table import number
from capsmed.errors import DataError

AXES = ("x", "y", "z")
MM, PIXEL, MARKUP, MASK, CENTRE = "x, y, z", "pixel", "markup", "mask", "image centre"
_COLUMNS = {MM: AXES, PIXEL: ("column", "row"), MARKUP: ("markup",)}


def ways(table: pd.DataFrame, data: config.Data, file: str) -> tuple[list[str], list[Problem]]:
    """How each row gives its point: one of the ways above, 'mask' where there is nothing else.

    Where no row gives a point, all are 'image centre'. A row that gives several, or none where
    others do, is a fault and its way ''.

    Raises:
        DataError: a column is missing, or the config does not say what the numbers mean.
    """
    given = {
        way: np.any([_filled(table, name) for name in columns], axis=0)
        for way, columns in _COLUMNS.items()
        if way != PIXEL or {"column", "row"} <= set(table)
    }
    _check_named(table, {way for way, rows in given.items() if rows.any()}, data, file)
    masked = _filled(table, "mask")
    found, faults = [], []
    for position in range(len(table)):
        mine = [way for way, rows in given.items() if rows[position]]
        if len(mine) > 1:
            text = f"expected one way of giving the point, got {' and '.join(map(_named, mine))}"
            faults.append(Problem(position, text, "point given in several ways"))
        found.append(mine[0] if len(mine) == 1 else "" if mine or not masked[position] else MASK)
    if not any(found) and not faults:
        return [CENTRE] * len(table), []
    several = {fault.position for fault in faults}
    bare = [i for i, way in enumerate(found) if not way and i not in several]
    return found, faults + [
        Problem(i, "expected a point, as other rows have one, got none", "no point") for i in bare
    ]


def to_ras(
    table: pd.DataFrame, found: list[str], frame: str | None
) -> tuple[np.ndarray, list[Problem]]:
    """The points of the rows that give them in mm, as RAS+.

    Pictures need x and y only, columns and rows of pixels with the frame RAS: z is NaN where no
    row of the table has one.

    Returns:
        float [rows, 3], NaN elsewhere; and the cells that are no numbers.
    """
    points, faults = np.full((len(table), 3), np.nan), []
    flat = not _filled(table, "z").any() and set(found) <= {MM, ""}
    axes = AXES[:2] if flat else AXES
    for position, way in enumerate(found):
        if way != MM:
            continue
        for place, axis in enumerate(axes):
            text = table[axis].iloc[position] if axis in table else ""
            value = number(text)
            if value is None or not np.isfinite(value):
                detail = f"{axis}: expected mm, got '{text}'"
                faults.append(Problem(position, detail, "point is not a number"))
                value = np.nan
            points[position, place] = value
    if frame == "LPS":
        points[:, :2] *= -1.0
    return points, faults


def unused_frame(found: Sequence[str], frame: str | None, columns: Sequence[str]) -> str:
    """What is wrong when a frame is named but no row has a point in it; '' when nothing is."""
    if frame is None or MM in found:
        return ""
    return (
        f"data.frame: {frame} is named, but no row has x, y, z in mm; the columns are "
        f"{', '.join(columns)}; rename those that hold the point, or leave data.frame out"
    )


def columns(points: np.ndarray) -> Mapping[str, np.ndarray]:
    """The columns x, y, z of a table: none without points, no z for pictures."""
    return {
        axis: points[:, place]
        for place, axis in enumerate(AXES)
        if np.isfinite(points[:, place]).any()
    }


def _check_named(table: pd.DataFrame, used: set[str], data: config.Data, file: str) -> None:
    if MM in used:
        named = [axis for axis in AXES if _filled(table, axis).any()]
        if named[:2] != ["x", "y"]:
            raise DataError(
                f"{file}: expected the columns x, y and z in mm, got {', '.join(named)}"
            )
        if data.frame is None:
            raise DataError(
                f"data.frame: {file} has points (x, y, z), so name their frame: RAS, or LPS as in "
                "LUNA16, ITK and DICOM"
            )
    if PIXEL in used:
        if not {"instance_number", "sop_uid"} & set(table):
            raise DataError(
                f"{file}: expected the column instance_number or sop_uid beside column and row, "
                "got neither; without them a pixel lies in no slice"
            )
        if data.first_pixel is None:
            raise DataError(
                f"data.first_pixel: {file} has points as column and row, so say whether the first "
                "pixel is number 0 or 1"
            )


def _filled(table: pd.DataFrame, name: str) -> np.ndarray:
    if name not in table:
        return np.zeros(len(table), dtype=bool)
    return np.asarray(table[name] != "", dtype=bool)


def _named(way: str) -> str:
    return "column and row" if way == PIXEL else way
