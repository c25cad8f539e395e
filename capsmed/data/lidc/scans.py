"""One scan of LIDC-IDRI: from its readings to rows of a cohort table."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from capsmed.data.lidc import clusters
from capsmed.data.lidc.clusters import Outlined
from capsmed.data.lidc.nodules import Nodule, nodule, place
from capsmed.data.lidc.outlines import RATINGS, agreed
from capsmed.data.lidc.readings import Reading
from capsmed.data.masks.mask import Mask
from capsmed.data.volume import Volume

_FROM_HEADER = ("slice_thickness", "manufacturer", "model", "kernel", "kvp")


@dataclass(frozen=True)
class Limits:
    """Which nodules are taken: at least so many readers, at least so many mm."""

    readers: int = 3
    diameter_mm: float = 3.0


@dataclass
class Harvest:
    """What the scans gave so far.

    Attributes:
        rows: of the cohort table.
        masks: consensus by case id.
        left_out: how often, by reason.
        failed: why scans were left out, for the terminal; may name files.
        split: groups of readings in which a stricter overlap told nodules apart.
        repeated: readings left out because their reader has a larger one of the same nodule.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    masks: dict[str, Mask] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    split: int = 0
    repeated: int = 0

    def add(
        self,
        volume: Volume,
        readings: Sequence[Reading],
        scan: Mapping[str, str],
        limits: Limits,
    ) -> None:
        """Take a scan's nodules.

        Args:
            volume: the scan, of DICOM slices.
            readings: all that were made of it.
            scan: ``patient_id``, ``image`` and ``series_uid`` of its rows.
            limits: what is too few or too small is counted and left out.
        """
        groups = self._groups(self._placed(readings, volume))
        for number, group in enumerate(groups, start=1):
            found = self._nodule(group, volume, limits)
            if found is not None:
                case = _case_id(scan["series_uid"], number)
                self.masks[case] = found.mask
                self.rows.append(_row(case, found, volume, scan))

    def _placed(self, readings: Sequence[Reading], volume: Volume) -> list[Outlined]:
        placed = [place(reading, volume) for reading in readings]
        inside = [reading for reading in placed if reading is not None]
        drawn = [reading for reading in inside if len(reading.voxels)]
        self.left_out["reading outlined outside the scan"] += len(placed) - len(inside)
        self.left_out["reading that encloses no voxel"] += len(inside) - len(drawn)
        return drawn

    def _groups(self, readings: list[Outlined]) -> list[list[Outlined]]:
        """The readings of each nodule, numbered alike whatever was left out or asked for."""
        groups = []
        for group in clusters.clusters(readings):
            parts = clusters.told_apart(group)
            self.split += len(parts) > 1
            groups += parts
        return sorted(groups, key=lambda group: min(int(r.voxels[0]) for r in group))

    def _nodule(self, group: list[Outlined], volume: Volume, limits: Limits) -> Nodule | None:
        once = clusters.once_each(group)
        self.repeated += len(group) - len(once)
        if len(once) > clusters.READERS:
            self.left_out["nodule with more readings than a scan has readers"] += 1
        elif len(once) < limits.readers:
            self.left_out[f"nodule outlined by fewer than {limits.readers} readers"] += 1
        else:
            found = nodule(once, volume)
            if not found.mask.inside.any():
                self.left_out["nodule without a voxel that half of the readers enclosed"] += 1
            elif found.mask.diameter_mm() < limits.diameter_mm:
                self.left_out[f"nodule under {limits.diameter_mm:g} mm"] += 1
            else:
                return found
        return None


def _case_id(series_uid: str, number: int) -> str:
    """The same nodule has the same name in every import.

    It does not name the patient, but whoever has the collection can find the series again.
    """
    return f"lidc_{hashlib.sha256(series_uid.encode()).hexdigest()[:12]}_{number}"


def _row(case: str, found: Nodule, volume: Volume, scan: Mapping[str, str]) -> dict[str, Any]:
    x, y, z = found.mask.centroid() * [-1, -1, 1]  # RAS to LPS
    malignancy = [reading.malignancy for reading in found.readings]
    ratings = {
        name: agreed(name, [reading.ratings[name] for reading in found.readings])
        for name in RATINGS
    }
    return {
        "case_id": case,
        **scan,
        "label": found.label,
        "x": round(float(x), 3),
        "y": round(float(y), 3),
        "z": round(float(z), 3),
        "mask": f"masks/{case}.nii.gz",
        "diameter_mm": round(found.mask.diameter_mm(), 2),
        "malignancy_median": float(found.malignancy),
        "malignancy": " ".join(map(str, malignancy)),
        "n_readers": len(malignancy),
        **ratings,
        "pixel_spacing": round(float(volume.spacing[0]), 6),
        "slice_spacing": round(float(volume.spacing[2]), 4),
        **{name: volume.meta.get(name, "") for name in _FROM_HEADER},
    }
