"""The pictures of the page's table of cases: planes, reconstructions, coupling maps."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from capsmed.report.case_couplings import UNIFORM, Arrays, Scale, legend, maps_of
from capsmed.report.examples import INDEX_PLANES, PLANES, in_mm, picture
from capsmed.report.run import Fold, RunFiles, read_arrays

#: Bytes of pictures on the page at most; the worst predicted cases come first.
MOST_BYTES = 9_000_000
_GAP = 2  # pixels between two planes


def pictures_of(run: RunFiles, order: np.ndarray) -> tuple[dict[str, Any], dict[str, int]]:
    """What the folds' cuts.npz hold, for `cases.js`.

    Args:
        run: whose folds; of repeats and seeds the first.
        order: case ids; the first come first, until `MOST_BYTES` are reached.

    Returns:
        ``images`` (PNGs in base64) with their ``caption``, and where there are coupling maps for
        each image its ``maps`` (class index and PNG) with their ``scale``, or in their place a
        sentence, ``uniform``; and the number of each case's image.
    """
    arrays = dict(_stored(run))
    stored = {case: (fold, i) for fold, ids in arrays.items() for i, case in enumerate(_ids(ids))}
    scale = Scale.of(arrays.values())
    images: list[str] = []
    maps: list[list[tuple[int, str]]] = []
    numbers: dict[str, int] = {}
    size = 0
    for case in order:
        if case not in stored or size > MOST_BYTES:
            continue
        fold, i = stored[case]
        numbers[str(case)] = len(images)
        images.append(_png(_tiles(arrays[fold], i, run)))
        maps.append(_maps(arrays[fold], i, scale, run))
        size += len(images[-1]) + sum(len(png) for _, png in maps[-1])
    decoded = any(name.endswith("_decoded") for found in arrays.values() for name in found)
    content = {"images": images, "caption": _caption(run, decoded)}
    return {**content, **_told(arrays, maps, scale)}, numbers


def _told(
    arrays: dict[str, Arrays], maps: list[list[tuple[int, str]]], scale: Scale | None
) -> dict[str, Any]:
    if any(found.get("coupling_uniform", False) for found in arrays.values()):
        return {"uniform": UNIFORM}
    return {"maps": maps, "scale": legend(scale)} if scale else {}


def _stored(run: RunFiles) -> Iterator[tuple[str, Arrays]]:
    first: dict[int, Fold] = {}
    for fold in run.folds:
        first.setdefault(fold.fold, fold)  # of repeats and seeds the first
    for fold in first.values():
        name = f"repeat-{fold.repeat}/seed-{fold.seed}/fold-{fold.fold}"
        path = run.folder / name / "cuts.npz"
        if path.exists():
            yield name, read_arrays(path)


def _ids(found: Arrays) -> np.ndarray:
    return found["case_id"].astype(str)


def _caption(run: RunFiles, decoded: bool) -> str:
    flat = len((run.config.get("patch") or {}).get("size") or ()) == 2
    planes = (
        ""
        if flat
        else ", ".join(PLANES if in_mm(run) else [name.replace(", ", "") for name in INDEX_PLANES])
    )
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


def _maps(found: Arrays, i: int, scale: Scale | None, run: RunFiles) -> list[tuple[int, str]]:
    """Class index and PNG of each coupling map of a case, laid out as its planes."""
    flat = "image" in found

    def upright(plane: np.ndarray) -> np.ndarray:
        return picture(plane[None], run) if flat else _upright(plane, run)

    return [(k, _png(_beside(planes))) for k, planes in maps_of(found, i, scale, upright)]


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
