"""LUNA16: scans as MetaImage in ten subsets, with lists of candidates and of nodules."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from capsmed.data import folders, readers
from capsmed.data.importers import luna16_files, writing
from capsmed.data.importers.contract import Imported, Options, Progress
from capsmed.data.importers.luna16_files import Scan
from capsmed.data.progress import shown
from capsmed.data.volume import Volume
from capsmed.errors import DataError

USES = ("annotations", "negatives_per_scan", "nodules_only", "seed", "encoding")
NEGATIVES_PER_SCAN = 5
_LABELS = ("non-nodule", "nodule")
_PATIENTS = (
    "LUNA16 names no patients: patient_id is the scan's series, so a patient with two scans counts "
    "as two"
)


@dataclass(frozen=True)
class _Lists:
    """The two CSV files: candidates (or nodules) with ``class``, and the nodules' diameters."""

    points: pd.DataFrame
    nodules: pd.DataFrame


def read(source: Path, out: Path, options: Options, progress: Progress | None = None) -> Imported:
    """Write one row a candidate: every nodule, and a few non-nodules of each scan.

    Args:
        source: folder with subset0 to subset9, each holding .mhd and .raw files.
        out: new folder for ``cohort.csv``.
        options: ``annotations`` (folder of the CSV files; default ``source`` or its CSVFILES),
            ``negatives_per_scan`` (default 5, drawn with ``seed``, default 0), ``nodules_only``
            (the nodules of annotations.csv instead of the candidates), ``encoding``.
        progress: called with (scans done, all).

    Raises:
        DataError: a CSV file is missing or lacks columns, or no scan of theirs is on disk.
    """
    folders.vacant(out)
    lists = _lists(source, options)
    left_out: Counter[str] = Counter()
    scans = luna16_files.scans(source, left_out)
    rows: list[dict[str, object]] = []
    groups = dict(iter(lists.points.groupby("seriesuid", sort=True)))
    with shown(progress) as step:
        for number, scan in enumerate(scans, start=1):
            if scan.series_uid not in groups:
                left_out["scan without a point in the list"] += 1
            else:
                points = groups.pop(scan.series_uid)
                rows += _scan_rows(scan, points, lists.nodules, options, out, left_out)
            step(number, len(scans))
    left_out["point of a scan that is not in the source"] = sum(map(len, groups.values()))
    if not rows:
        reasons = "; ".join(f"{n} x {reason}" for reason, n in (+left_out).items())
        raise DataError(f"{source}: expected scans of LUNA16's lists, got none; {reasons}")
    notes = tuple(_notes(rows))
    labels = {str(row["label"]) for row in rows}
    settings = {"data.frame": "LPS"} | writing.class_settings(labels)
    if len(labels) == len(_LABELS):
        settings["data.positive"] = _LABELS[1]
    return Imported(writing.write_folder(out, rows), len(rows), dict(+left_out), notes, settings)


def _lists(source: Path, options: Options) -> _Lists:
    folder = luna16_files.lists_folder(source, options.annotations)
    encoding = options.encoding or "utf-8"
    wanted = (
        ["annotations.csv"] if options.nodules_only else ["candidates_V2.csv", "candidates.csv"]
    )
    nodules = luna16_files.read_list(folder, ["annotations.csv"], "diameter_mm", encoding)
    if options.nodules_only:
        return _Lists(nodules.assign(**{"class": 1}), nodules)
    return _Lists(luna16_files.read_list(folder, wanted, "class", encoding), nodules)


def _scan_rows(
    scan: Scan,
    points: pd.DataFrame,
    nodules: pd.DataFrame,
    options: Options,
    out: Path,
    left_out: Counter[str],
) -> list[dict[str, object]]:
    try:
        volume = readers.open_volume(scan.path)
    except DataError:
        left_out["scan that cannot be read"] += 1
        left_out["point of a scan that cannot be read"] += len(points)
        return []
    points = points.assign(number=np.arange(1, len(points) + 1))
    inside = _inside(points, volume)
    left_out["point outside its scan"] += int((~inside).sum())
    kept = _drawn(points[inside], scan.series_uid, options)
    left_out["non-nodule beyond those wanted of a scan"] += int(inside.sum()) - len(kept)
    own = nodules[nodules["seriesuid"] == scan.series_uid]
    image = writing.relative(scan.path, out)
    return [_row(scan, row, own, image, volume) for row in kept.to_dict("records")]


def _inside(points: pd.DataFrame, volume: Volume) -> np.ndarray:
    ras = points[list(luna16_files.AXES)].to_numpy(float) * [-1, -1, 1]
    inverse = np.linalg.inv(volume.affine)
    index = ras @ inverse[:3, :3].T + inverse[:3, 3]
    return ((index >= -0.5) & (index <= np.array(volume.shape) - 0.5)).all(axis=1)


def _drawn(points: pd.DataFrame, series_uid: str, options: Options) -> pd.DataFrame:
    """All nodules and the wanted number of others; a scan's draw depends on no other scan."""
    wanted = options.negatives_per_scan
    wanted = NEGATIVES_PER_SCAN if wanted is None else wanted
    others = np.flatnonzero(points["class"] == 0)
    rng = np.random.default_rng([options.seed or 0, int(_digest(series_uid), 16)])
    drawn = rng.permutation(others)[:wanted]
    return points.iloc[np.sort(np.append(np.flatnonzero(points["class"] == 1), drawn))]


def _row(
    scan: Scan, point: dict[str, object], nodules: pd.DataFrame, image: str, volume: Volume
) -> dict[str, object]:
    x, y, z = (point[axis] for axis in luna16_files.AXES)
    is_nodule = int(str(point["class"]))
    return {
        "case_id": f"luna16_{_digest(scan.series_uid)}_{point['number']}",
        "patient_id": scan.series_uid,
        "image": image,
        "label": _LABELS[is_nodule],
        "x": x,
        "y": y,
        "z": z,
        "fold": scan.subset,
        "diameter_mm": _diameter(np.array([x, y, z], float), nodules) if is_nodule else "",
        "pixel_spacing": round(float(volume.spacing[0]), 6),
        "slice_spacing": round(float(volume.spacing[2]), 4),
    }


def _diameter(point: np.ndarray, nodules: pd.DataFrame) -> float | str:
    """That of the nearest nodule whose sphere holds the point; '' when none does."""
    distance = np.linalg.norm(nodules[list(luna16_files.AXES)].to_numpy(float) - point, axis=1)
    diameter = nodules["diameter_mm"].to_numpy(float)
    distance[distance > diameter / 2] = np.inf
    if not np.isfinite(distance).any():
        return ""
    return round(float(diameter[distance.argmin()]), 3)


def _digest(series_uid: str) -> str:
    return hashlib.sha256(series_uid.encode()).hexdigest()[:8]


def _notes(rows: list[dict[str, object]]) -> Iterator[str]:
    yield _PATIENTS
    folds = {row["fold"] for row in rows}
    if len(folds) == 1:
        yield "one subset only, so there are no published folds: the column fold is left out"
        for row in rows:
            del row["fold"]
    labels = Counter(row["label"] for row in rows)
    if len(labels) == 1:
        yield f"one class only ({rows[0]['label']}): put labels of your own into the column label"
    unknown = sum(row["label"] == "nodule" and row["diameter_mm"] == "" for row in rows)
    if unknown:
        yield f"nodules in the sphere of no nodule of annotations.csv, without diameter: {unknown}"
