"""Cases of one size as one array: ``images.npy`` and a table whose rows point into it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from capsmed.data.importers.writing import write_folder
from capsmed.data.whole_sets.whole_set import WholeSet

IMAGES = "images.npy"
UNKNOWN_PATIENTS = (
    "patients are unknown: intervals are by case, and the set's own parts are the only honest split"
)


def write(found: WholeSet, out: Path) -> Path:
    """Write the set into the new folder ``out`` and return its table.

    Columns: ``case_id``, ``patient_id`` (empty), ``image`` (always ``images.npy``), ``label``,
    ``index`` (position in the array, from 0) and ``split``.

    Raises:
        DataError: ``out`` is in use or cannot be written.
    """
    parts = found.parts or [""] * len(found.labels)
    cases = zip(found.case_ids, found.labels, parts, strict=True)
    rows = [
        {"case_id": case, "image": IMAGES, "label": label, "index": index, "split": part}
        for index, (case, label, part) in enumerate(cases)
    ]
    return write_folder(out, rows, lambda folder: np.save(folder / IMAGES, found.images))
