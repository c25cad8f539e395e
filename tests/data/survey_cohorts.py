"""Synthetic chest cohorts whose truth is known: two lungs, and nodules where the table says."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

from capsmed import config
from capsmed.data.survey import Survey, open_table, survey

SHAPE = (90, 80, 40)
#: A patient of 180 x 160 x 80 mm; the isocentre is well inside, so mirrored points are inside too.
AFFINE = np.array([[2.0, 0, 0, -90], [0, 2.0, 0, -80], [0, 0, 2.0, -40], [0, 0, 0, 1]])
PATCH = config.Patch(size=(16, 16, 16), spacing=2.0)


def centres(affine: np.ndarray = AFFINE) -> np.ndarray:
    """Voxel centres, RAS+ mm [x, y, z, 3]."""
    index = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1)
    return index @ affine[:3, :3].T + affine[:3, 3]


def chest(nodule_ras: tuple[float, float, float], radius: float, seed: int) -> np.ndarray:
    """HU: air outside, tissue, two lungs, and one ball of tissue."""
    places = centres()
    hu = np.full(SHAPE, -1000.0)
    hu[(np.abs(places[..., 0]) < 84) & (np.abs(places[..., 1]) < 72)] = 40
    for side in (-45, 45):
        hu[(np.abs(places[..., 0] - side) < 30) & (np.abs(places[..., 1] + 10) < 45)] = -850
    hu += np.random.default_rng(seed).normal(0, 15, SHAPE)
    hu[np.linalg.norm(places - nodule_ras, axis=-1) < radius] = 30
    return hu.astype(np.float32)


def write_cohort(folder: Path, count: int = 8, frame: str = "LPS", masks: bool = False) -> Path:
    """A table of nodules in the lungs, its points written in ``frame``; classes in turns."""
    rng = np.random.default_rng(1)
    lines = ["case_id,patient_id,image,label,x,y,z,diameter_mm" + (",mask" if masks else "")]
    sign = -1 if frame == "LPS" else 1
    for i in range(count):
        side = -45 if i % 2 else 45
        point = (side + rng.uniform(-15, 15), rng.uniform(-35, 20), rng.uniform(-20, 20))
        save(folder / f"c{i}.nii.gz", chest(point, 7, i))
        cells = [f"{sign * point[0]:.2f}", f"{sign * point[1]:.2f}", f"{point[2]:.2f}", "14"]
        if masks:
            ball = np.linalg.norm(centres() - point, axis=-1) < 7
            save(folder / f"m{i}.nii.gz", ball)
            cells.append(f"m{i}.nii.gz")
        label = "benign" if i % 2 else "malignant"
        lines.append(",".join([f"c{i}", f"secret-{i:03d}", f"c{i}.nii.gz", label, *cells]))
    table = folder / "cohort.csv"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return table


def save(path: Path, values: np.ndarray, affine: np.ndarray = AFFINE) -> None:
    """Write voxels as NIfTI in RAS+ mm."""
    nib.save(nib.Nifti1Image(np.asarray(values, np.float32), affine), path)


def add(table: Path, *rows: str) -> Path:
    """Append rows to a table."""
    with open(table, "a", encoding="utf-8") as file:
        file.writelines(f"{row}\n" for row in rows)
    return table


def look(table: Path, frame: str | None = None, **options: object) -> Survey:
    """Survey a table without pictures."""
    data = config.Data(cohort=table.name, frame=frame, **options)  # type: ignore[arg-type]
    opened = open_table(data, table.parent)
    return survey(opened, PATCH, lambda position, cuts: None, lambda done, total: None)


def whats(found: Survey, case_id: str) -> list[str]:
    """What was noted of a case."""
    return [note.what for case in found.cases if case.case_id == case_id for note in case.notes]


def related(found: Survey, what: str) -> list[tuple[str, ...]]:
    """The groups of cases of one sort of relation."""
    return [relation.cases for relation in found.relations if relation.what == what]
