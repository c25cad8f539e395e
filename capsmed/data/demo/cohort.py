"""The demo cohort as a folder: images, cohort.csv and the attribution."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path

from threadpoolctl import threadpool_limits

from capsmed.data.cores import cores
from capsmed.data.demo import records
from capsmed.data.demo.records import Label
from capsmed.data.demo.render import render
from capsmed.data.demo.scene import scene
from capsmed.data.demo.writers import write_dicom, write_nifti
from capsmed.data.lidc.outlines import Nodule
from capsmed.data.progress import Progress

MOST_THREADS = 4  # about 150 MB each


def fill(
    out: Path,
    indices: list[int],
    labels: Mapping[str, Label],
    progress: Progress | None = None,
) -> Path:
    """Render the cases numbered ``indices`` into the folder ``out``; return its cohort.csv.

    The images are made before any label is looked at. ``progress(done, total)`` is called after
    each case.
    """
    table, nodules = records.rows(), records.nodules()
    (out / "images").mkdir(parents=True)

    def case(index: int) -> dict[str, object]:
        row = table[index]
        return _case(out, index, len(table), row, nodules[row["case_id"]])

    rows = _in_threads(case, indices, progress)
    for row in rows:
        label = labels[str(row["case_id"])]
        row |= {"label": label.name, "malignancy_median": float(label.malignancy_median)}
    attribution = files(__package__).joinpath("files", "ATTRIBUTION.md")
    (out / "ATTRIBUTION.md").write_bytes(attribution.read_bytes())
    return _write_table(out / "cohort.csv", rows)


def subset(count: int | None) -> list[int]:
    """Return the numbers of ``count`` cases with the classes in the cohort's proportion.

    None means all. Within a class the first ones are taken, formats in turn.
    """
    table, labels = records.rows(), records.labels()
    if count is None or count >= len(table):
        return list(range(len(table)))
    groups: dict[tuple[str, str], list[int]] = {}
    for index, row in enumerate(table):
        key = (labels[row["case_id"]].name, scene(index, len(table)).format)
        groups.setdefault(key, []).append(index)
    ranked = sorted(
        ((place + 0.5) / len(group), key, index)
        for key, group in groups.items()
        for place, index in enumerate(group)
    )
    return sorted(index for _, _, index in ranked[:count])


def _case(
    out: Path, index: int, total: int, row: Mapping[str, str], nodule: Nodule
) -> dict[str, object]:
    place = scene(index, total)
    block = render(place, nodule)
    image = Path("images") / row["case_id"]
    if place.format == "dicom":
        write_dicom(block, place, row["patient_id"], out / image)
    else:
        image = image.with_suffix(".nii")
        write_nifti(block, place, out / image)
    x, y, z = block.point
    return {
        "case_id": row["case_id"],
        "patient_id": row["patient_id"],
        "image": image.as_posix(),
        "label": "",
        "x": x,
        "y": y,
        "z": z,
        "diameter_mm": row["diameter_mm"],
        "format": place.format,
        "pixel_spacing_mm": place.pixel_spacing,
        "slice_spacing_mm": place.slice_spacing,
        "noise_hu": place.noise,
        "chest_wall": int(place.wall is not None),
        "readers": row["readers"],
        **nodule.ratings,
        "malignancy_median": "",
    }


def _in_threads(
    case: Callable[[int], dict[str, object]], indices: list[int], progress: Progress | None
) -> list[dict[str, object]]:
    """Threads, not processes: NumPy frees the lock, and no caller needs a main guard.

    BLAS gets one thread: on the small matrices here its own threads wait for each other, which
    took ten times the time of the work.
    """
    rows = []
    workers = ThreadPoolExecutor(min(MOST_THREADS, cores()))
    with threadpool_limits(1, user_api="blas"), workers as pool:
        try:
            for done, row in enumerate(pool.map(case, indices), start=1):
                rows.append(row)
                if progress is not None:
                    progress(done, len(indices))
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return rows


def _write_table(path: Path, rows: list[dict[str, object]]) -> Path:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path
