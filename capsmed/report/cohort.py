"""Tables of who is in the cohort and who is not."""

from __future__ import annotations

import pandas as pd

from capsmed.report.run import RunFiles

Rows = list[tuple[str, ...]]


def class_rows(run: RunFiles) -> Rows:
    """Class, cases, patients, median diameter; only cases that take part."""
    kept = run.cohort[run.cohort["status"] == "included"]
    return [_class_row(name, kept[kept["label"] == name]) for name in run.classes] + [
        _class_row("all", kept)
    ]


def excluded_rows(run: RunFiles) -> Rows:
    """Reason and number of cases left out, most frequent first."""
    left = run.cohort[run.cohort["status"] != "included"]
    return [(str(reason), f"{count:,}") for reason, count in left["reason"].value_counts().items()]


def part_rows(run: RunFiles) -> Rows:
    """Smallest and largest size of each part over the folds."""
    if not len(run.splits):
        return []
    sizes = run.splits.groupby(["repeat", "fold", "part"]).size().unstack(fill_value=0)
    parts = [name for name in ("train", "inner", "test") if name in sizes]
    return [(name, _range(int(sizes[name].min()), int(sizes[name].max()))) for name in parts]


def without_diameter(run: RunFiles) -> int:
    """Included cases without a diameter; 0 where the cohort has no diameters at all."""
    kept = run.cohort[run.cohort["status"] == "included"]
    if "diameter_mm" not in kept or kept["diameter_mm"].isna().all():
        return 0
    return int(kept["diameter_mm"].isna().sum())


def _class_row(name: str, rows: pd.DataFrame) -> tuple[str, ...]:
    known = len(rows) > 0 and bool((rows["patient"] != "").all())
    diameter = rows["diameter_mm"].median() if "diameter_mm" in rows else float("nan")
    return (
        name,
        f"{len(rows):,}",
        f"{rows['patient'].nunique():,}" if known else "unknown",
        "–" if pd.isna(diameter) else f"{diameter:.1f}",
    )


def _range(low: int, high: int) -> str:
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
