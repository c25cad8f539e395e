"""Slices in order on an even grid: duplicates, gaps, uneven steps, tilt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from capsmed.data.dicom import geometry
from capsmed.data.dicom.frames import Plane
from capsmed.data.volume import Finding
from capsmed.errors import CheckFailed

_MOST_INVENTED = 10  # places of the grid a slice; beyond, a position is wrong rather than uneven


@dataclass(frozen=True)
class Grid:
    """An even stack.

    Attributes:
        planes: the slices that are used, along the normal.
        places: for each index z the two planes it is interpolated from, and the second's share.
        affine: 4x4, index x, y, z to RAS+ mm.
    """

    planes: tuple[Plane, ...]
    places: tuple[tuple[int, int, float], ...]
    affine: np.ndarray


def grid(found: list[Plane], findings: list[Finding]) -> Grid:
    """Put planes of one size and direction on an even grid; what is odd joins ``findings``.

    Raises:
        CheckFailed: slices lie beside one another, or a single one has no thickness.
    """
    axes = geometry.directions(found[0].orientation or ())
    ordered = sorted(found, key=lambda plane: (_along(plane, axes), _first(plane)))
    kept = _without_duplicates(ordered, axes, findings)
    if len(kept) == 1:
        return _single(kept[0], axes, findings)
    positions = np.array([plane.position for plane in kept])
    along = positions @ axes[2]
    steps = geometry.steps(along)
    _check_steps(steps, kept, findings)
    _check_line(positions, along, axes[2], findings)
    step = (positions[-1] - positions[0]) / (steps.count - 1)
    return Grid(
        tuple(kept),
        tuple(geometry.neighbours(steps.numbers, steps.count)),
        geometry.affine(axes, kept[0].spacing or (), positions[0], step),
    )


def _along(plane: Plane, axes: np.ndarray) -> float:
    return float(axes[2] @ np.array(plane.position))


def _first(plane: Plane) -> tuple[int, str, int]:
    number = plane.number if plane.number is not None else 2**31
    return number, plane.header.path, plane.frame


def _without_duplicates(
    ordered: list[Plane], axes: np.ndarray, findings: list[Finding]
) -> list[Plane]:
    """The first, by InstanceNumber, of the slices at each position."""
    groups: list[list[Plane]] = []
    for plane in ordered:
        apart = _along(plane, axes) - _along(groups[-1][0], axes) if groups else np.inf
        if apart < geometry.SAME_PLACE_MM:
            groups[-1].append(plane)
        else:
            groups.append([plane])
    double = [group for group in groups if len(group) > 1]
    for group in double:
        shifts = np.array([p.position for p in group]) - np.array(group[0].position)
        if np.linalg.norm(shifts, axis=1).max() > geometry.OFF_THE_LINE_MM:
            raise CheckFailed(
                "duplicate_slices", f"slices lie side by side in one plane, {_names(group)}"
            )
    if double:
        findings.append(
            Finding(
                "duplicate_slices",
                f"several slices lie at one position, at {len(double)} of {len(groups)} positions, "
                f"{_names(double[0])}",
            )
        )
    return [min(group, key=_first) for group in groups]


def _names(group: list[Plane]) -> str:
    return f"for example {group[0].short} and {group[1].short}"


def _single(plane: Plane, axes: np.ndarray, findings: list[Finding]) -> Grid:
    if plane.thickness is None or not 0 < plane.thickness < 1e3:
        raise CheckFailed(
            "single_slice", f"{plane.name}: one slice only, and without a SliceThickness"
        )
    findings.append(Finding("single_slice", f"one slice only, {plane.thickness:g} mm thick"))
    step = axes[2] * plane.thickness
    affine = geometry.affine(axes, plane.spacing or (), np.array(plane.position), step)
    return Grid((plane,), ((0, 0, 0.0),), affine)


def _check_steps(steps: geometry.Steps, kept: list[Plane], findings: list[Finding]) -> None:
    if steps.even and not steps.missing:
        return
    widest = int(np.argmax(steps.gaps))
    between = f"{kept[widest].short} and {kept[widest + 1].short}"
    if steps.even:
        check = "missing_slices"
        text = (
            f"{steps.missing} of {steps.count} slices are missing: expected steps of "
            f"{steps.usual:.2f} mm, got up to {steps.gaps.max():.2f} mm, between {between}"
        )
    else:
        check = "unequal_spacing"
        text = (
            f"expected equally spaced slices, got steps of {steps.gaps.min():.2f} to "
            f"{steps.gaps.max():.2f} mm, the widest between {between}"
        )
    if steps.count > _MOST_INVENTED * len(kept):
        raise CheckFailed(check, f"{text}; too wide to be filled")
    findings.append(Finding(check, text))


def _check_line(
    positions: np.ndarray, along: np.ndarray, normal: np.ndarray, findings: list[Finding]
) -> None:
    off = geometry.off_the_line(positions, along)
    if off > geometry.OFF_THE_LINE_MM and len(positions) > 2:
        raise CheckFailed(
            "unequal_spacing", f"slices are shifted sideways from one line by up to {off:.2f} mm"
        )
    tilt = geometry.tilt(positions[-1] - positions[0], normal)
    if tilt >= geometry.TILT_DEGREES:
        findings.append(
            Finding("gantry_tilt", f"slices are sheared by {tilt:.1f} degrees (gantry tilt)")
        )
