"""Building a cohort's fields from a table or a whole set."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from capsmed import config
from capsmed.data import demo, fingerprint, labels, lesions, points, problems, stratify
from capsmed.data.gathering import check_columns, gather, patients_known
from capsmed.data.table import read_table
from capsmed.data.whole_sets.whole_set import WholeSet
from capsmed.errors import DataError

FIRST = (
    "case_id",
    "patient_id",
    "label",
    "excluded",
    "diameter_mm",
    "diameter_from",
    "point_from",
)


def table(path: Path, data: config.Data, root: Path) -> dict[str, Any]:
    """The fields of a Cohort from a table.

    Raises:
        DataError: see Cohort.read.
    """
    read = read_table(path, data.encoding)
    check_columns(read)
    known = patients_known(read)
    classes = labels.class_order([row["label"] for row in read.rows], data.classes, path.name)
    found = gather(read, classes, data, root, known)
    reasons = problems.settle(found.faults, path.name, found.places, data.on_bad_case)
    unused = points.unused_frame(list(found.rows["point_from"]), data.frame, read.columns)
    if unused:
        raise DataError(unused)
    excluded = [found.left_out.get(i, reasons.get(i, "")) for i in range(len(found.rows))]
    rows = found.rows.assign(excluded=excluded)
    return {
        **_common(rows, classes, data, path.name),
        "note": _note(path.parent),
        "patients_known": known,
        "source": "table",
        "digest": fingerprint.digest(rows, root),
        "root": root,
        "checks": data.checks,
        "places": dict(zip(rows["case_id"], found.places.values(), strict=True)),
        **found.stack,
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
    rows = rows.assign(**lesions.unknown(len(rows)))
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
