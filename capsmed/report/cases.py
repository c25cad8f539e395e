"""The page's table of cases and its threshold, as data for `cases.js`."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup
from PIL import Image

from capsmed.metrics.sample import samples_of
from capsmed.metrics.tables import targets
from capsmed.metrics.units import units_of
from capsmed.report.examples import INDEX_PLANES, PLANES, in_mm, picture
from capsmed.report.run import Fold, RunFiles, read_arrays

#: Scores on the page at most; of more, a case's mean over runs stands for them.
MOST_SCORES = 400_000
#: Bytes of pictures on the page at most; the worst predicted cases come first.
MOST_BYTES = 6_000_000
_GAP = 2  # pixels between two planes


def cases_content(run: RunFiles) -> dict[str, Any]:
    """What the section shows; all of it from predictions.csv, cohort.csv and the folds' cuts."""
    rows = run.of(run.model)
    binary = len(run.classes) == 2
    ids = rows["case_id"].drop_duplicates().to_numpy(str)
    tables = [_by_case(part, ids, run) for _, part in rows.groupby(["repeat", "seed"])]
    shares = np.nanmean([table for table, _ in tables], axis=0)
    first = rows.drop_duplicates("case_id").set_index("case_id").loc[ids]
    label = targets(first, run.classes)
    place = run.classes.index(run.positive) if binary else 0
    truth = shares[np.arange(len(ids)), label]
    diameter = _diameters(run, ids)
    pictures, numbers = _pictures(run, ids[np.argsort(truth, kind="stable")])
    scores = [table[:, place] for table, _ in tables] if binary else []
    if len(scores) * len(ids) > MOST_SCORES:
        scores = [shares[:, place]]
    called = shares.argmax(1)
    if binary:
        called = np.where(np.nanmean([c for _, c in tables], axis=0) >= 0.5, place, 1 - place)
    data = {
        "classes": run.classes,
        "positive": place if binary else None,
        "id": ids.tolist(),
        "label": label.tolist(),
        "called": called.tolist(),
        "shown": _numbers(shares[:, place] if binary else truth),
        "truth": _numbers(truth),
        "fold": first["fold"].astype(int).tolist(),
        "diameter": diameter,
        "measured": any(value is not None for value in diameter),
        "scores": [_numbers(values, digits=17) for values in scores],
        "picture": [numbers.get(case, -1) for case in ids],
        "scored": f"P({run.positive})" if binary else "P(true class)",
    }
    thresholds = rows["threshold"].dropna() if "threshold" in rows else pd.Series(dtype=float)
    return {
        "data": _script(data),
        "pictures": _script(pictures),
        "script": Markup(files("capsmed.report").joinpath("cases.js").read_text(encoding="utf-8")),
        "negative": run.classes[1 - place] if binary else "",
        "threshold": float(thresholds.mean()) if len(thresholds) else 0.5,
        "columns": _columns(data),
    }


def _columns(data: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Key, heading and the direction of the first sorting."""
    found = [
        ("id", "case", "up"),
        ("label", "class", "up"),
        ("called", "called", "up"),
        ("score", data["scored"], "down"),
        ("wrong", "wrong by", "down"),
        ("fold", "fold", "up"),
    ]
    return [*found, ("diameter", "mm", "down")] if data["measured"] else found


def _by_case(rows: pd.DataFrame, ids: np.ndarray, run: RunFiles) -> tuple[np.ndarray, np.ndarray]:
    """One run's probabilities [cases, classes] and whether called positive, NaN where absent."""
    sample = samples_of(rows, units_of(rows, run.cohort).index, run.classes, run.positive)[0]
    own = rows["case_id"].drop_duplicates().to_numpy(str)
    place = pd.Series(np.arange(len(ids)), index=ids)[own].to_numpy()
    shares = np.full((len(ids), len(run.classes)), np.nan)
    called = np.full(len(ids), np.nan)
    shares[place] = sample.probabilities
    if len(run.classes) == 2:
        called[place] = sample.predicted == run.classes.index(run.positive)
    return shares, called


def _diameters(run: RunFiles, ids: np.ndarray) -> list[float | None]:
    if "diameter_mm" not in run.cohort:
        return [None] * len(ids)
    table = run.cohort.drop_duplicates("case_id").set_index("case_id")["diameter_mm"]
    return _numbers(table.reindex(ids).to_numpy(float), digits=4)


def _numbers(values: np.ndarray, digits: int = 6) -> list[float | None]:
    return [float(f"{v:.{digits}g}") if np.isfinite(v) else None for v in values.tolist()]


def _script(content: Any) -> Markup:
    """JSON that cannot end its own script element."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028"))


def _pictures(run: RunFiles, order: np.ndarray) -> tuple[dict[str, Any], dict[str, int]]:
    """PNGs in base64, the cases of ``order`` first come first served, and each one's number."""
    stored = {case: (fold, i) for fold, ids in _stored(run) for i, case in enumerate(ids)}
    images: list[str] = []
    numbers: dict[str, int] = {}
    size = 0
    arrays: dict[str, dict[str, np.ndarray]] = {}
    decoded = False
    for case in order:
        if case not in stored or size > MOST_BYTES:
            continue
        fold, i = stored[case]
        if str(fold) not in arrays:
            arrays[str(fold)] = read_arrays(fold)
        found = arrays[str(fold)]
        decoded = decoded or any(name.endswith("_decoded") for name in found)
        numbers[str(case)] = len(images)
        images.append(_png(_tiles(found, i, run)))
        size += len(images[-1])
    return {"images": images, "caption": _caption(run, decoded)}, numbers


def _stored(run: RunFiles) -> Iterator[tuple[Any, np.ndarray]]:
    first: dict[int, Fold] = {}
    for fold in run.folds:
        first.setdefault(fold.fold, fold)  # of repeats and seeds the first
    for fold in first.values():
        name = f"repeat-{fold.repeat}/seed-{fold.seed}/fold-{fold.fold}"
        path = run.folder / name / "cuts.npz"
        if path.exists():
            yield path, read_arrays(path)["case_id"].astype(str)


def _caption(run: RunFiles, decoded: bool) -> str:
    flat = len((run.config.get("patch") or {}).get("size") or ()) == 2
    planes = "" if flat else ", ".join(PLANES if in_mm(run) else INDEX_PLANES)
    shown = "The image" if flat else f"Middle planes ({planes})"
    below = "; below, the reconstruction from its longest capsule" if decoded else ""
    return f"{shown} of the patch{below}"


def _tiles(found: dict[str, np.ndarray], i: int, run: RunFiles) -> np.ndarray:
    """The planes of a case side by side, reconstructions below: uint8 [rows, columns(, 3)]."""
    rows = []
    for ending in ("", "_decoded"):
        if f"image{ending}" in found:
            rows.append([picture(found[f"image{ending}"][i], run)])
        elif f"xy{ending}" in found:
            names = [f"{name}{ending}" for name in ("xy", "xz", "yz")]
            rows.append([_upright(found[name][i], run) for name in names])
    parts = [np.pad(_beside(row), [(_GAP, 0)] + [(0, 0)] * (row[0].ndim - 1)) for row in rows]
    return np.concatenate(parts)[_GAP:]


def _upright(plane: np.ndarray, run: RunFiles) -> np.ndarray:
    """As radiologists hang it, see `capsmed.report.examples`."""
    return plane[::-1, ::-1].T if in_mm(run) else plane.T


def _beside(planes: list[np.ndarray]) -> np.ndarray:
    height = max(len(plane) for plane in planes)
    parts = []
    for plane in planes:
        edges = [(0, height - len(plane)), (_GAP, 0)] + [(0, 0)] * (plane.ndim - 2)
        parts.append(np.pad(plane, edges))
    return np.concatenate(parts, axis=1)[:, _GAP:]


def _png(pixels: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()
