"""The cohort: which cases there are, what they are called, and why a row is left out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from capsmed import config
from capsmed.data import assemble, sources, whole_sets
from capsmed.data.images import located, open_image
from capsmed.data.masks import Mask, open_mask
from capsmed.data.progress import shown
from capsmed.data.volume import Volume, from_array
from capsmed.errors import DataError


@dataclass(frozen=True)
class Cohort:
    """Every row once, in the order of its source; no pixels but those of whole sets.

    Attributes:
        table: ``case_id``, ``patient_id`` ('' if unknown), ``label``, ``excluded`` ('' or the
            reason, free of paths and patient ids), ``diameter_mm`` (NaN if unknown),
            ``diameter_from`` ('column', 'mask' or ''), ``point_from`` ('x, y, z', 'pixel',
            'markup', 'mask' or 'image centre'), then the source's own columns; ``x``, ``y``,
            ``z`` are RAS+ mm, whatever way the point was given.
        classes: labels in class order.
        positive: the class whose probability is ranked; '' when there are more than two.
        patients_known: whether ``patient_id`` says anything.
        source: 'demo', 'table' or 'arrays'.
        note: shown wherever a result is printed; '' normally.
        digest: sha256 over the rows and the sizes of the files they name.
        file: name of the source for messages.
        root: folder that image paths are relative to.
        places: 'row 4 (case c3)' by case_id, for messages on the terminal.
        checks: what happens when an image is odd.
        images: the array of a whole set or stack; the column ``position`` points into it.
        value_range: the values of ``images`` that become 0 and 1.
    """

    table: pd.DataFrame
    classes: tuple[str, ...]
    positive: str
    patients_known: bool
    source: str
    note: str
    digest: str
    file: str = "cohort"
    root: Path | None = None
    places: Mapping[str, str] = field(default_factory=dict)
    checks: config.Checks = field(default_factory=config.Checks)
    images: np.ndarray | None = None
    value_range: tuple[float, float] | None = None

    @classmethod
    def read(cls, data: config.Data, base: Path, data_root: Path | None = None) -> Cohort:
        """Read the cohort that ``data`` names.

        Args:
            data: the config's section.
            base: folder that a relative ``data.cohort`` is relative to.
            data_root: folder that image paths are relative to; default: the table's own.

        Raises:
            DataError: the source is missing or unusable; every bad row is listed.
        """
        if data.cohort == "demo":
            return _demo(cls, data)
        path = Path(base) / data.cohort
        if data.cohort in whole_sets.DATA_SOURCES and not path.exists():
            return cls(**assemble.whole_set(whole_sets.read_source(data.cohort), data, data.cohort))
        if not path.exists():
            raise DataError(sources.missing(path))
        kind = whole_sets.kind(path)
        if kind is not None:
            return cls(**assemble.whole_set(whole_sets.read(kind, path), data, path.name))
        return cls(**assemble.table(path, data, data_root or path.parent))

    @property
    def included(self) -> pd.DataFrame:
        """The rows that take part, with their class index in the column ``target``."""
        rows = self.table[self.table["excluded"] == ""]
        index = {name: number for number, name in enumerate(self.classes)}
        return rows.assign(target=[index[label] for label in rows["label"]]).reset_index(drop=True)

    def volume(self, row: Mapping[str, Any] | pd.Series) -> Volume:
        """Open the image of one row of the table; no voxel is read yet.

        Raises:
            CheckFailed: a check fails whose policy is not 'warn'.
            DataError: the file cannot be opened.
        """
        if self.images is not None:
            return from_array(self.images[row["position"]], self.value_range, "arrays")
        return open_image(row, self.root, self.checks)

    def mask(self, row: Mapping[str, Any] | pd.Series, scan: Volume | None = None) -> Mask | None:
        """Open the mask of one row of the table; None where it has none.

        Args:
            row: of the table.
            scan: the row's image, when it is open already.

        Raises:
            CheckFailed: a check fails whose policy is not 'warn'.
            DataError: the mask, or the image it belongs to, cannot be opened.
        """
        if not row.get("mask"):
            return None
        path = located(row["mask"], self.root)
        scan = self.volume(row) if scan is None else scan
        return open_mask(path, row.get("mask_segment", ""), scan, self.checks)

    def place(self, case_id: str) -> str:
        """Where a case stands in its source, for a message on the terminal."""
        return self.places.get(case_id, f"case {case_id}")

    def exclude(self, reasons: Mapping[str, str]) -> Cohort:
        """The same cohort with the cases of ``reasons`` left out.

        Raises:
            DataError: a class has no case left.
        """
        excluded = [
            old or reasons.get(case, "")
            for case, old in zip(self.table["case_id"], self.table["excluded"], strict=True)
        ]
        smaller = replace(self, table=self.table.assign(excluded=excluded))
        assemble.check_classes(smaller.table, self.classes, self.file)
        return smaller

    def keep(self, cases: Collection[str]) -> Cohort:
        """The same cohort with the rows of these cases alone."""
        table = self.table[self.table["case_id"].isin(cases)].reset_index(drop=True)
        return replace(self, table=table)


def _demo(cls: type[Cohort], data: config.Data) -> Cohort:
    from capsmed.data import demo

    with shown(True, "rendering the embedded cohort (first use only)") as step:
        path = Path(demo.table(step))
    fields = assemble.table(path, data.model_copy(update={"frame": "RAS"}), path.parent)
    return cls(**{**fields, "source": "demo", "note": demo.NOTE})
