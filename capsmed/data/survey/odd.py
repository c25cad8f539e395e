"""What is odd about one case: findings of its reader, its values, its point and its size."""

from __future__ import annotations

import numpy as np

from capsmed import config
from capsmed.data.cut import OUTSIDE
from capsmed.data.masks import Mask
from capsmed.data.survey.case import Case, Note
from capsmed.data.volume import Volume

#: CT numbers beyond these are padding, metal or no CT numbers at all.
LOWEST_HU, HIGHEST_HU = -1500.0, 4000.0
#: A diameter of the table and one of the mask that differ by more than this factor.
FACTOR = 1.5


def notes_of(
    case: Case, volume: Volume, mask: Mask | None, checks: config.Checks
) -> tuple[Note, ...]:
    """Everything that is odd about a case.

    Args:
        case: as measured so far.
        volume: its image, with the reader's findings.
        mask: its mask, filled and touching the image, or None.
        checks: the policies: 'error' becomes 'mend'.
    """
    return (*_findings(volume, checks), *_values(case, volume), *_point(case), *_size(case, mask))


def _findings(volume: Volume, checks: config.Checks) -> list[Note]:
    notes = []
    for finding in volume.findings:
        policy = getattr(checks, finding.check)
        level = "mend" if policy == "error" else "look"
        what = f"check {finding.check}" + (" (skipped)" if policy == "skip" else "")
        notes.append(Note("mend" if level == "mend" else "look", what, finding.detail))
    return notes


def _values(case: Case, volume: Volume) -> list[Note]:
    box = case.box
    notes: list[Note] = []
    if box is None:
        return notes
    if box.low == box.high:
        notes.append(Note("look", "one value only in the box", f"{box.low:g}"))
    if box.padded > 0:
        text = f"{100 * box.padded:.0f}%"
        notes.append(Note("look", "patch reaches beyond the image", text))
    if not volume.has_mm or volume.value_range is not None or len(volume.shape) == 2:
        return notes
    if box.low >= 0:
        notes.append(Note("look", "no value below 0: HU?", f"{box.low:g} to {box.high:g}"))
    if box.low < LOWEST_HU or box.high > HIGHEST_HU:
        what = f"values beyond {LOWEST_HU:g} to {HIGHEST_HU:g} HU".replace("-", "−")
        notes.append(Note("look", what, f"{box.low:g} to {box.high:g}"))
    return notes


def _point(case: Case) -> list[Note]:
    given = case.given
    notes: list[Note] = []
    if given is None:
        return notes
    if not given.inside:
        notes.append(Note("mend", OUTSIDE))
    elif given.in_mask is False:
        notes.append(Note("look", "point outside its mask"))
    if np.isfinite(given.hu) and not given.tissue:
        notes.append(Note("look", "lung or air at the point", f"{given.hu:.0f} HU"))
    return notes


def _size(case: Case, mask: Mask | None) -> list[Note]:
    if mask is None or not np.isfinite(case.diameter_mm):
        return []
    measured = mask.diameter_mm()
    if 1 / FACTOR <= measured / case.diameter_mm <= FACTOR:
        return []
    text = f"{case.diameter_mm:.1f} mm, mask {measured:.1f} mm"
    return [Note("look", f"diameter and mask differ by more than {FACTOR:g} times", text)]
