"""Points set in 3D Slicer: .mrk.json and .fcsv files, in the frame that the file itself names."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from capsmed.errors import DataError, did_you_mean

SUFFIXES = (".mrk.json", ".fcsv")
_SIGNS = {"RAS": (1.0, 1.0, 1.0), "LPS": (-1.0, -1.0, 1.0)}
_NUMBERED = {"0": "RAS", "1": "LPS", "2": "IJK"}
_MILLIMETRES = ("mm", "millimeter", "millimeters")
_FCSV_COLUMNS = "id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label"


class ControlPoint(NamedTuple):
    """One point: its label and where it is, RAS+ mm."""

    label: str
    position: tuple[float, ...]


def read(path: Path, label: str = "") -> np.ndarray:
    """The point called ``label``, or the only one of the file; RAS+ mm [3].

    Raises:
        DataError: not a markups file, no frame in it, or not exactly one such point.
    """
    found = read_all(path)
    if label:
        chosen = [point for point in found if point.label == label]
        if not chosen:
            names = [point.label for point in found]
            listed = ", ".join(map(repr, names[:20])) or "none"
            near = did_you_mean(label, names)
            raise DataError(f"no control point {label!r}; the file has {listed}{near}")
    else:
        chosen = found
    if len(chosen) != 1:
        raise DataError(
            f"expected one control point, got {len(chosen)}; name one in the column markup_label"
        )
    return np.array(chosen[0].position)


def read_all(path: Path) -> list[ControlPoint]:
    """All points of the file that have been placed.

    Raises:
        DataError: as ``read``.
    """
    path = Path(path)
    if not path.name.lower().endswith(SUFFIXES):
        raise DataError(f"expected a file ending in {' or '.join(SUFFIXES)}, got '{path.name}'")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read as text ({error})") from error
    return _from_fcsv(text) if path.suffix.lower() == ".fcsv" else _from_json(text)


def _from_json(text: str) -> list[ControlPoint]:
    try:
        markups = json.loads(text)["markups"]
        return [
            _point(str(point.get("label", "")), point["position"], _frame(markup))
            for markup in markups
            if markup["type"] == "Fiducial"
            for point in markup.get("controlPoints", ())
            if point.get("positionStatus", "defined") == "defined"
        ]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"expected Slicer's markups JSON, got others ({error!r})") from error


def _frame(markup: dict[str, Any]) -> str:
    units = str(markup.get("coordinateUnits") or "mm")
    if units not in _MILLIMETRES:
        raise DataError(f"expected millimetres, got '{units}'")
    return _known_frame(markup.get("coordinateSystem"), "coordinateSystem")


def _known_frame(given: object, key: str) -> str:
    frame = _NUMBERED.get(str(given), str(given).upper())
    if given is None or frame not in _SIGNS:
        got = "none" if given is None else f"'{frame}'"
        raise DataError(f"expected the frame RAS or LPS as {key}, got {got}; export it again")
    return frame


def _point(label: str, position: Any, frame: str) -> ControlPoint:
    values = [float(value) for value in position]
    if len(values) != 3 or not np.isfinite(values).all():
        raise DataError(f"control point {label!r}: expected three numbers, got {position}")
    signs = _SIGNS[frame]
    return ControlPoint(label, tuple(v * s for v, s in zip(values, signs, strict=True)))


def _from_fcsv(text: str) -> list[ControlPoint]:
    lines = text.splitlines()
    header: dict[str, str] = {}
    for line in lines:
        if line.startswith("#") and "=" in line:
            key, _, value = line.lstrip("# ").partition("=")
            header[key.strip()] = value.strip()
    frame = _known_frame(header.get("CoordinateSystem"), "CoordinateSystem")
    columns = header.get("columns", _FCSV_COLUMNS).split(",")
    points = []
    for cells in csv.reader(line for line in lines if line.strip() and not line.startswith("#")):
        row = dict(zip(columns, cells, strict=False))
        try:
            points.append(_point(row.get("label", ""), [row["x"], row["y"], row["z"]], frame))
        except (KeyError, ValueError) as error:
            raise DataError(f"expected id,x,y,z,... in each line, got {','.join(cells)}") from error
    return points
