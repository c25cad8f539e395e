"""DICOM segmentation objects: one frame a slice and segment, or label maps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from capsmed.data.dicom.parsing import image_tags
from capsmed.data.dicom.reading import QUIET, opened
from capsmed.data.masks import seg_pixels
from capsmed.data.masks.dicom_object import check_drawn_on, items, parsed, tags
from capsmed.data.masks.mask import Mask
from capsmed.data.masks.parts import cut_out, joined
from capsmed.data.masks.segments import Segment, choose
from capsmed.data.readers import world
from capsmed.data.volume import Volume
from capsmed.errors import DataError

_KEYWORDS = (
    "SegmentationType",
    "MaximumFractionalValue",
    "SegmentSequence",
    "ReferencedSeriesSequence",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
)
_FARTHEST_MM = 1e6
_OFF_PLANE = 0.02  # of a step between planes
_MOST_LAYERS = 10_000


def read(path: Path, segment: str, scan: Volume | None) -> Mask:
    """One segment of a binary, fractional (from a half on) or label-map segmentation.

    Args:
        path: the file.
        segment: the segment's label or number; '' when there is only one.
        scan: the row's image, against which the references are checked and from which the step
            of sparse frames is taken.

    Raises:
        DataError: no such segment, drawn on another scan, or frames that form no regular grid.
    """
    with QUIET, opened(path) as file:
        found = parsed(file, (*image_tags(), *tags(*_KEYWORDS)))
        dataset = found.elements
        wanted = _chosen(dataset, segment)
        series = {str(s.SeriesInstanceUID) for s in items(dataset, "ReferencedSeriesSequence")}
        check_drawn_on("SEG", scan, series, {str(dataset.get("FrameOfReferenceUID", ""))} - {""})
        frames = _frames_of(dataset, wanted)
        if not frames:
            return joined((), np.eye(4), scan)
        layers, affine = _grid([_Place(dataset, frame) for frame in frames], scan, path)
        pixels = seg_pixels.inside(file, found, frames, wanted)
        parts = (
            cut_out(plane.T[..., None], (0, 0, layer))
            for plane, layer in zip(pixels, layers, strict=True)
        )
        return joined(parts, affine, scan)


def _chosen(dataset: Any, segment: str) -> int:
    """The number of the segment that is meant."""
    described = [s for s in items(dataset, "SegmentSequence") if int(s.SegmentNumber) > 0]
    named = [Segment(int(s.SegmentNumber), str(s.get("SegmentLabel", ""))) for s in described]
    return named[choose(named, segment)].number


class _Place:
    """Where a frame lies: origin [3], steps along columns and rows [3], normal, slice step; LPS."""

    def __init__(self, dataset: Any, frame: int) -> None:
        self.origin = np.array(_group(dataset, frame, "PlanePosition").ImagePositionPatient, float)
        direction = _group(dataset, frame, "PlaneOrientation").ImageOrientationPatient
        along, down = np.array(direction, dtype=float).reshape(2, 3)
        measures = _group(dataset, frame, "PixelMeasures")
        row_mm, column_mm = (float(mm) for mm in measures.PixelSpacing)
        self.steps = np.stack([along * column_mm, down * row_mm], axis=1)
        self.normal = np.cross(along, down)
        if not (np.abs([*self.origin, *self.steps.flat]) < _FARTHEST_MM).all():
            raise DataError(f"frame {frame + 1} of the SEG lies nowhere: its place is no numbers")
        self.gap = float(measures.get("SpacingBetweenSlices") or 0)
        self.thickness = float(measures.get("SliceThickness") or 0)


def _group(dataset: Any, frame: int, name: str) -> Any:
    """A functional group's item: the frame's own, else the one that all share."""
    own = dataset.PerFrameFunctionalGroupsSequence[frame]
    for holder in (own, *items(dataset, "SharedFunctionalGroupsSequence")):
        for item in items(holder, f"{name}Sequence"):
            return item
    raise DataError(f"frame {frame + 1} of the SEG has no {name}")


def _frames_of(dataset: Any, wanted: int) -> list[int]:
    count = len(dataset.get("PerFrameFunctionalGroupsSequence") or ())
    if count != int(dataset.get("NumberOfFrames") or 1):
        raise DataError(f"expected a place for each frame of the SEG, got {count}")
    if str(dataset.get("SegmentationType", "")) == "LABELMAP":
        return list(range(count))
    numbers = (_group(dataset, i, "SegmentIdentification") for i in range(count))
    return [i for i, item in enumerate(numbers) if int(item.ReferencedSegmentNumber) == wanted]


def _grid(places: list[_Place], scan: Volume | None, path: Path) -> tuple[list[int], np.ndarray]:
    """Each frame's plane along their normal, from 0; the grid's affine, index to RAS+ mm."""
    first = min(places, key=lambda place: float(place.origin @ place.normal))
    offsets = np.array([place.origin - first.origin for place in places])
    layers = _layers(offsets @ first.normal, first, scan)
    last = int(layers.argmax())
    step = offsets[last] / layers[last] if layers[last] else first.normal * _step([], first, scan)
    off = np.abs(offsets - layers[:, None] * step).max()
    turned = max(np.abs(place.steps - first.steps).max() for place in places)
    if turned > 1e-4 or off > max(0.01, _OFF_PLANE * float(np.linalg.norm(step))):
        raise DataError("expected the SEG's frames on one regular grid, got some off it")
    steps = np.column_stack([first.steps, step])
    return layers.tolist(), world.to_ras(steps, first.origin, world.LPS, path)


def _layers(depths: np.ndarray, place: _Place, scan: Volume | None) -> np.ndarray:
    """The plane of each frame, from 0; ``depths`` are mm along the normal."""
    ordered, which = np.unique(np.round(depths, 2), return_inverse=True)
    gaps = np.diff(ordered)
    layers = np.append(0, np.cumsum(np.rint(gaps / _step(gaps, place, scan)))).astype(int)
    if layers[-1] >= _MOST_LAYERS:
        raise DataError(f"expected fewer than {_MOST_LAYERS} planes in the SEG, got {layers[-1]}")
    return np.asarray(layers[which])


def _step(gaps: Sequence[float] | np.ndarray, place: _Place, scan: Volume | None) -> float:
    """Mm between planes: frames may be left out, so the smallest gap is the last but one to trust.

    Raises:
        DataError: the gaps are multiples of no step that is known.
    """
    gaps = np.asarray(gaps, dtype=float)
    smallest = float(gaps.min()) if len(gaps) else 0.0
    for step in (place.gap, _step_of(scan, place.normal), smallest, place.thickness):
        if step > 0 and np.abs(gaps / step - np.rint(gaps / step)).max(initial=0) <= _OFF_PLANE:
            return step
    raise DataError("expected the SEG's frames at equal steps, got uneven ones")


def _step_of(scan: Volume | None, normal_lps: np.ndarray) -> float:
    """Mm between the scan's slices; 0 where they are not parallel to the frames."""
    if scan is None or not scan.has_mm or len(scan.shape) != 3:
        return 0.0
    own = np.cross(scan.affine[:3, 0], scan.affine[:3, 1])
    normal = world.LPS * normal_lps
    parallel = abs(own @ normal) > 0.9999 * float(np.linalg.norm(own))
    return float(abs(scan.affine[:3, 2] @ normal)) if parallel else 0.0
