"""Building a cohort's fields from a table or a whole set."""

from __future__ import annotations

import difflib
import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from capsmed import config
from capsmed.data import demo, diameters, labels, points, problems, readers, stratify
from capsmed.data.problems import Problem
from capsmed.data.table import Table, read_table
from capsmed.data.whole_sets.whole_set import WholeSet
from capsmed.errors import DataError

REQUIRED = ("case_id", "patient_id", "image", "label")
FIRST = ("case_id", "patient_id", "label", "excluded", "diameter_mm")


def located(name: str, root: Path | None) -> Path:
    """The file a table names; backslashes of Windows are read as slashes elsewhere."""
    path = (root or Path()) / name
    return path if path.exists() else (root or Path()) / name.replace("\\", "/")


def table(path: Path, data: config.Data, root: Path) -> dict[str, Any]:
    """The fields of a Cohort from a table.

    Raises:
        DataError: see Cohort.read.
    """
    read = read_table(path, data.encoding)
    _check_columns(read)
    _check_patients(read)
    rows = pd.DataFrame(read.rows, columns=list(read.columns), dtype=object)
    classes = labels.class_order(list(rows["label"]), data.classes, path.name)
    left_out, faults = labels.judge(list(rows["label"]), classes)
    rows, point_faults = points.to_ras(rows, data.frame, path.name)
    faults += point_faults + _row_faults(rows, left_out, root)
    column = diameters.column_of(rows, data.diameter)
    sizes, size_faults = _diameters(rows, column, left_out, root)
    faults = [fault for fault in faults + size_faults if fault.position not in left_out]
    faults += _duplicates(rows)
    places = {i: f"row {n} (case {c})" for i, (n, c) in _numbered(read)}
    reasons = problems.settle(faults, path.name, places, data.on_bad_case)
    rows["case_id"] = _unique(rows["case_id"], read.numbers)
    rows["excluded"] = [left_out.get(i, reasons.get(i, "")) for i in range(len(rows))]
    rows["diameter_mm"] = sizes
    return {
        **_common(rows, classes, data, path.name),
        "note": _note(path.parent),
        "patients_known": True,
        "source": "table",
        "digest": _digest(rows, root),
        "root": root,
        "checks": data.checks,
        "places": dict(zip(rows["case_id"], places.values(), strict=True)),
    }


def whole_set(found: WholeSet, data: config.Data, name: str) -> dict[str, Any]:
    """The fields of a Cohort from arrays; no patient is known.

    Raises:
        DataError: see Cohort.read.
    """
    classes = labels.class_order(found.labels, data.classes, name)
    left_out, _ = labels.judge(found.labels, classes)
    rows = pd.DataFrame({"case_id": found.case_ids, "patient_id": "", "label": found.labels})
    rows["excluded"] = [left_out.get(i, "") for i in range(len(rows))]
    rows["diameter_mm"] = np.nan
    if found.parts:
        rows["split"] = found.parts
    rows["position"] = np.arange(len(rows))
    digest = hashlib.sha256(np.ascontiguousarray(found.images).data)
    digest.update("\n".join(found.labels + found.parts).encode())
    return {
        **_common(rows, classes, data, name),
        "patients_known": False,
        "source": "arrays",
        "digest": digest.hexdigest(),
        "images": found.images,
        "value_range": found.value_range,
    }


def check_classes(rows: pd.DataFrame, classes: tuple[str, ...], file: str) -> None:
    """Refuse a cohort in which a class has no case left.

    Raises:
        DataError: naming the class and why its rows were left out.
    """
    left = set(rows.loc[rows["excluded"] == "", "label"])
    for name in classes:
        if name not in left:
            reasons = Counter(rows.loc[rows["label"] == name, "excluded"])
            why = "; ".join(f"{reason} ({count})" for reason, count in reasons.items())
            raise DataError(f"{file}: no usable case of class '{name}' is left: {why or 'none'}")


def _common(
    rows: pd.DataFrame, classes: tuple[str, ...], data: config.Data, name: str
) -> dict[str, Any]:
    rows = rows[[*FIRST, *(column for column in rows if column not in FIRST)]]
    if data.limit is not None:
        rows = _limited(rows, data.limit)
    check_classes(rows, classes, name)
    positive = labels.positive_class(classes, data.positive)
    return {"table": rows, "classes": classes, "positive": positive, "note": "", "file": name}


def _note(folder: Path) -> str:
    """What must be said of the demo cohort, wherever it was rendered; its attribution tells it."""
    attribution = folder / demo.ATTRIBUTION
    return demo.NOTE if attribution.is_file() and demo.is_demo(attribution) else ""


def _limited(rows: pd.DataFrame, limit: int) -> pd.DataFrame:
    used = rows[rows["excluded"] == ""]
    keep: set[int] = set()
    for _, part in used.groupby(used["split"] if "split" in used else used["excluded"]):
        targets = np.unique(part["label"].to_numpy(str), return_inverse=True)[1]
        chosen = stratify.pick(targets, limit, np.random.default_rng(0))
        keep.update(part.index[chosen])
    beyond = [i for i in used.index if i not in keep]
    rows = rows.copy()
    rows.loc[beyond, "excluded"] = "beyond data.limit"
    return rows


def _check_columns(read: Table) -> None:
    missing = [name for name in REQUIRED if name not in read.columns]
    if missing:
        lower = {name.casefold(): name for name in read.columns}
        near = difflib.get_close_matches(missing[0], lower, n=1, cutoff=0.6)
        hint = f"; is '{lower[near[0]]}' meant to be '{missing[0]}'?" if near else ""
        raise DataError(
            f"{read.path}: expected the columns {', '.join(REQUIRED)}, got "
            f"{', '.join(read.columns)}; missing: {', '.join(missing)}{hint}"
        )


def _check_patients(read: Table) -> None:
    patients = {row["patient_id"] for row in read.rows}
    if len(read.rows) > 1 and len(patients) == 1:
        what = "empty" if patients == {""} else "the same"
        raise DataError(
            f"{read.path}: all {len(read.rows)} patient ids are {what}; splits are by patient, "
            "so each row needs its own patient's id"
        )


def _row_faults(rows: pd.DataFrame, left_out: dict[int, str], root: Path) -> list[Problem]:
    faults = []
    for position, row in enumerate(rows.to_dict("records")):
        for name in ("case_id", "patient_id", "image"):
            if not row[name]:
                faults.append(Problem(position, f"{name} is empty", f"{name} is empty"))
        for name in ("image", "mask"):
            wanted = row.get(name, "") if position not in left_out else ""
            if wanted and not located(wanted, root).exists():
                detail = f"{name} '{wanted}' was not found in {root}"
                faults.append(Problem(position, detail, f"{name} file not found"))
    return faults


def _duplicates(rows: pd.DataFrame) -> list[Problem]:
    repeated = np.flatnonzero(rows["case_id"].duplicated() & (rows["case_id"] != ""))
    return [
        Problem(int(i), f"case_id '{rows['case_id'].iloc[i]}' was used before", "duplicate case_id")
        for i in repeated
    ]


def _diameters(
    rows: pd.DataFrame, column: str | None, left_out: dict[int, str], root: Path
) -> tuple[np.ndarray, list[Problem]]:
    if column is not None:
        return diameters.from_column(rows, column)
    if "mask" not in rows:
        return np.full(len(rows), np.nan), []
    wanted = [
        {"mask": "" if i in left_out or not located(name, root).exists() else name}
        for i, name in enumerate(rows["mask"])
    ]
    return diameters.from_masks(wanted, lambda name: readers.open_volume(located(name, root)))


def _numbered(read: Table) -> list[tuple[int, tuple[int, str]]]:
    cases = [row["case_id"] for row in read.rows]
    return list(enumerate(zip(read.numbers, cases, strict=True)))


def _unique(cases: pd.Series, numbers: tuple[int, ...]) -> list[str]:
    """Case ids as they are; a repeated or empty one (skipped by now) gets its row's number."""
    repeated = cases.duplicated() | (cases == "")
    return [
        f"{case} (row {number})".strip() if bad else case
        for case, number, bad in zip(cases, numbers, repeated, strict=True)
    ]


def _digest(rows: pd.DataFrame, root: Path) -> str:
    total = hashlib.sha256()
    for row in rows.to_dict("records"):
        total.update(repr(sorted((k, str(v)) for k, v in row.items())).encode())
        path = located(row["image"], root)
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        total.update(repr([f.stat().st_size for f in files if f.is_file()]).encode())
    return total.hexdigest()
