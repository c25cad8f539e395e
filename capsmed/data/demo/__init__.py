"""The embedded cohort: 240 real nodule outlines and labels, rendered into synthetic CT."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from capsmed.errors import DataError

__all__ = ["ATTRIBUTION", "NOTE", "VERSION", "is_demo", "table", "write"]

ATTRIBUTION = "ATTRIBUTION.md"

NOTE = (
    "real outlines and labels, synthetic pixels: a check of the pipeline, not clinical performance"
)
VERSION = 1  # raise it with every change of what is rendered, or caches keep the old pixels


def is_demo(attribution: Path) -> bool:
    """Whether a file called ``ATTRIBUTION.md`` is the one that `write` puts beside its table."""
    first, _, _ = attribution.read_text(encoding="utf-8", errors="replace").partition("\n")
    return first.strip() == "# Where these annotations come from"


def table(progress: Callable[[int, int], None] | None = None) -> Path:
    """Return the path of the demo cohort's cohort.csv, rendering it on first use.

    The cohort is kept in the user's cache (``CAPSMED_CACHE`` or the platform's folder) under a
    name made of the annotations' digest and ``VERSION``. Points are in mm, frame RAS; image
    paths are relative to the table. First use takes about a minute and 250 MB.

    Args:
        progress: called with (cases done, all cases) while rendering.

    Raises:
        DataError: the cache cannot be written.
    """
    from capsmed.data import folders
    from capsmed.data.demo import cohort, records

    folder = folders.cache_folder() / f"demo-{VERSION}-{records.digest()[:12]}"
    folders.whole(
        folder,
        lambda out: cohort.fill(out, cohort.subset(None), records.labels(), progress),
    )
    return folder / "cohort.csv"


def write(
    out: Path, cases: int | None = None, progress: Callable[[int, int], None] | None = None
) -> Path:
    """Render the demo cohort into the folder ``out`` and return its cohort.csv.

    Args:
        out: a folder that is not there yet, or empty.
        cases: only so many, in the cohort's proportion of classes; None for all.
        progress: called with (cases done, all cases).

    Raises:
        DataError: ``out`` has something in it, cannot be written, or ``cases`` is below 1.
    """
    from capsmed.data import folders
    from capsmed.data.demo import cohort, records

    if cases is not None and cases < 1:
        raise DataError(f"cases: expected at least 1, got {cases}; leave it out for all cases")
    out = folders.vacant(Path(out))
    indices, labels = cohort.subset(cases), records.labels()
    folders.whole(out, lambda folder: cohort.fill(folder, indices, labels, progress))
    return out / "cohort.csv"
