"""The packed LIDC-IDRI annotations: outlines and ratings for the renderer, labels apart."""

from __future__ import annotations

import csv
import hashlib
import statistics
from dataclasses import dataclass
from importlib.resources import files

import numpy as np

from capsmed.data.lidc.outlines import RATINGS, Contour, Nodule, agreed

FILES = ("nodules.csv", "labels.csv", "outlines.npz")


@dataclass(frozen=True)
class Label:
    """The radiologists' verdict on a case: ``benign`` or ``malignant``, by the median rating."""

    name: str
    malignancy_median: float


def rows() -> list[dict[str, str]]:
    """Return the table of nodules as text: ids, spacing, diameter, each reader's ratings."""
    return _table("nodules.csv")


def labels() -> dict[str, Label]:
    """Return the label of each case id."""
    return {
        row["case_id"]: Label(row["label"], statistics.median(_numbers(row["malignancy"])))
        for row in _table("labels.csv")
    }


def nodules() -> dict[str, Nodule]:
    """Return the outlines and ratings of each case id, in the order of the table."""
    with files(__package__).joinpath("files", "outlines.npz").open("rb") as file:
        packed = dict(np.load(file))
    curves = _curves(packed)
    return {
        row["case_id"]: Nodule(
            float(row["pixel_spacing_mm"]),
            float(row["slice_spacing_mm"]),
            tuple(curves[i]),
            ratings(row),
        )
        for i, row in enumerate(rows())
    }


def ratings(row: dict[str, str]) -> dict[str, float]:
    """Return one number for each of ``RATINGS``, see `agreed`."""
    return {name: agreed(name, _numbers(row[name])) for name in RATINGS}


def digest() -> str:
    """Return the SHA-256 of the packed files: another cohort, another digest."""
    total = hashlib.sha256()
    for name in FILES:
        content = files(__package__).joinpath("files", name).read_bytes()
        total.update(content.replace(b"\r\n", b"\n") if name.endswith(".csv") else content)
    return total.hexdigest()


def _curves(packed: dict[str, np.ndarray]) -> list[list[Contour]]:
    curves: list[list[Contour]] = [[] for _ in range(1 + int(packed["nodule"].max()))]
    pieces = np.split(packed["steps"], np.cumsum(packed["points"])[:-1])
    columns = (packed[name].tolist() for name in ("nodule", "reader", "z_mm", "inclusion"))
    for nodule, reader, z, inclusion, steps in zip(*columns, pieces, strict=True):
        points = np.cumsum(steps, axis=0, dtype=int)
        curves[nodule].append(Contour(reader, z, inclusion, points))
    return curves


def _table(name: str) -> list[dict[str, str]]:
    text = files(__package__).joinpath("files", name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split()]
