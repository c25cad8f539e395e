"""DICOM RT structure sets: outlines in mm, filled on the grid of the scan."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from capsmed.data.dicom.reading import QUIET, opened
from capsmed.data.masks.dicom_object import check_drawn_on, items, parsed, tags
from capsmed.data.masks.mask import Mask
from capsmed.data.masks.parts import cut_out, joined
from capsmed.data.masks.polygons import filled
from capsmed.data.masks.segments import Segment, choose
from capsmed.data.volume import Volume
from capsmed.errors import DataError

_LPS_TO_RAS = np.array([-1.0, -1.0, 1.0])
_KEYWORDS = (
    "StructureSetROISequence",
    "ROIContourSequence",
    "ReferencedFrameOfReferenceSequence",
)
_CLOSED = ("CLOSED_PLANAR", "CLOSED_PLANAR_XOR")
_OFF_SLICE = 0.1  # of a slice's step: how far an outline may leave its plane


def read(path: Path, segment: str, scan: Volume | None) -> Mask:
    """Fill the closed outlines of one ROI, in plane on the scan's own grid.

    A pixel is inside when its centre lies in an odd number of the plane's outlines. Outlines
    between the scan's slices keep their own planes.

    Args:
        path: the structure set.
        segment: the ROI's name or number; '' when there is only one.
        scan: the image that the outlines belong to.

    Raises:
        DataError: no such ROI, no closed outline in it, outlines across the slices or of another
            scan, or no scan in mm.
    """
    if scan is None or not scan.has_mm or len(scan.shape) != 3:
        raise DataError("expected a 3D scan in mm to fill the RTSTRUCT's outlines on")
    with QUIET, opened(path) as file:
        return _fill(_outlines(parsed(file, tags(*_KEYWORDS)).elements, segment, scan), scan)


def _outlines(dataset: Any, segment: str, scan: Volume) -> list[np.ndarray]:
    """Corners of one ROI's outlines in the scan's voxel indices, each [n, 3]."""
    rois = list(items(dataset, "StructureSetROISequence"))
    named = [Segment(int(roi.ROINumber), str(roi.get("ROIName", ""))) for roi in rois]
    roi = rois[choose(named, segment)]
    frames = {str(roi.get("ReferencedFrameOfReferenceUID", ""))} - {""} or {
        str(item.FrameOfReferenceUID)
        for item in items(dataset, "ReferencedFrameOfReferenceSequence")
    }
    check_drawn_on("RTSTRUCT", scan, _series(dataset), frames)
    return [_to_index(corners, scan) for corners in _corners(dataset, int(roi.ROINumber))]


def _series(dataset: Any) -> set[str]:
    way = (
        "ReferencedFrameOfReferenceSequence",
        "RTReferencedStudySequence",
        "RTReferencedSeriesSequence",
    )
    return {str(item.SeriesInstanceUID) for item in items(dataset, *way)}


def _corners(dataset: Any, roi: int) -> list[np.ndarray]:
    """Corners of the ROI's outlines, each once, LPS mm [n, 3]."""
    mine = [c for c in items(dataset, "ROIContourSequence") if int(c.ReferencedROINumber) == roi]
    contours = [contour for item in mine for contour in items(item, "ContourSequence")]
    forms = {str(contour.get("ContourGeometricType", "")) for contour in contours}
    if not forms or not forms <= set(_CLOSED):
        got = ", ".join(sorted(forms)) or "none"
        raise DataError(f"expected CLOSED_PLANAR outlines in the ROI, got {got}")
    numbers = [_numbers(contour) for contour in contours]
    if any(len(values) < 9 or len(values) % 3 for values in numbers):
        raise DataError("expected outlines of three or more corners x, y, z in the ROI")
    if not all(np.isfinite(values).all() for values in numbers):
        raise DataError("expected outlines of finite numbers in the ROI")
    return [values.reshape(-1, 3) for values in {v.tobytes(): v for v in numbers}.values()]


def _numbers(contour: Any) -> np.ndarray:
    """ContourData, from the text itself: pydicom leaves 64 kB and more of it as bytes."""
    held = contour.get_item("ContourData")
    value = held.value if held is not None else None
    if isinstance(value, bytes):
        value = value.decode("ascii").strip(" \0").split("\\")
    return np.array(value or (), dtype=float)


def _to_index(corners_lps: np.ndarray, scan: Volume) -> np.ndarray:
    inverse = np.linalg.inv(scan.affine)
    return (corners_lps * _LPS_TO_RAS) @ inverse[:3, :3].T + inverse[:3, 3]


def _fill(outlines: list[np.ndarray], scan: Volume) -> Mask:
    """Fill outlines given in the scan's voxel indices, each [n, 3]; what lies beyond it is cut."""
    if max(np.ptp(corners[:, 2]) for corners in outlines) > _OFF_SLICE:
        raise DataError("expected outlines parallel to the scan's slices, got some across them")
    depths = np.array([corners[:, 2].mean() for corners in outlines])
    held = np.flatnonzero((depths >= -0.5) & (depths <= scan.shape[2] - 0.5))
    low, high = _extent(outlines, scan.shape[:2])
    if not len(held) or (high <= low).any():
        raise DataError("the outlines do not touch the scan")
    first, step, planes = _planes(depths[held])
    _check_step(step, [outlines[which] for which in held], scan)
    by_plane = defaultdict(list)
    for plane, which in zip(planes, held, strict=True):
        by_plane[plane].append(outlines[which][:, :2] - low)
    size = (int(high[0] - low[0]), int(high[1] - low[1]))
    start = int(low[0]), int(low[1])
    parts = (
        cut_out(filled(corners, size)[..., None], (*start, plane))
        for plane, corners in by_plane.items()
    )
    grid = np.diag([1.0, 1.0, step, 1.0])
    grid[2, 3] = first
    return joined(parts, scan.affine @ grid, scan)


def _extent(outlines: list[np.ndarray], shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """First and last + 1 pixel of the scan that the outlines reach, each [2]."""
    corners = np.concatenate(outlines)[:, :2]
    low, high = np.floor(corners.min(axis=0)), np.ceil(corners.max(axis=0)) + 1
    return np.clip(low, 0, shape), np.clip(high, 0, shape)


def _planes(depths: np.ndarray) -> tuple[float, float, list[int]]:
    """First plane, step (both in slices of the scan) and each outline's plane, from 0.

    Where all outlines lie on the scan's slices, each stands for its slice alone, or for k of them
    when just every k-th slice is outlined; else they lie on planes at their own step.

    Raises:
        DataError: the outlines lie between the slices at unequal steps, or leave slices out
            without a rule.
    """
    own = np.rint(depths)
    if np.abs(depths - own).max() <= _OFF_SLICE:
        every = _every(own)
        return float(own.min()), every, ((own - own.min()) / every).astype(int).tolist()
    apart = np.diff(np.unique(np.round(depths, 2)))
    steps = apart[apart > 2 * _OFF_SLICE]
    step = float(steps.min()) if len(steps) else 1.0
    places = (depths - depths.min()) / step
    if np.abs(places - np.rint(places)).max() > _OFF_SLICE:
        raise DataError("expected outlines on the scan's slices or at equal steps, got neither")
    return float(depths.min()), step, np.rint(places).astype(int).tolist()


def _every(slices: np.ndarray) -> float:
    """How many slices each outline stands for: 1, or k where just every k-th is outlined.

    Two lesions in one ROI leave a gap between runs of slices; those stay as they are.
    """
    gaps = np.diff(np.unique(slices))
    usual = float(gaps.min(initial=np.inf))
    if not len(gaps) or (gaps == usual).all():
        return usual if len(gaps) else 1.0
    if usual > 1 or (gaps == 1).mean() < 0.5:
        raise DataError(
            f"expected outlines on every slice or on every k-th one, got gaps of {usual:g} to "
            f"{gaps.max():g} slices; outline the slices between, or give each lesion its own ROI"
        )
    return 1.0


def _check_step(step: float, outlines: list[np.ndarray], scan: Volume) -> None:
    """Refuse outlines farther apart than they are wide: no such outline stands for its gap."""
    extents = np.array([np.ptp(corners[:, :2], axis=0) for corners in outlines])
    widest = float((extents * scan.spacing[:2]).max())
    gap = step * float(scan.spacing[2])
    if step > 1 and gap > widest:
        raise DataError(
            f"expected outlines on neighbouring slices, got steps of {gap:.1f} mm between outlines "
            f"of up to {widest:.1f} mm; outline the slices between, or give each lesion its own ROI"
        )
