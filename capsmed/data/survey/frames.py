"""Do the points fit the images in the frame they were read in, or mirrored, in the other one?

LPS and RAS differ by the sign of x and y. A wrong frame may throw a point out of the image, but
it may as well land inside: so what lies at both places is looked at, case by case.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import comb
from typing import Literal

import numpy as np

from capsmed.data.survey.region import region, to_index, within
from capsmed.data.volume import Volume

MIRROR = np.array([-1.0, -1.0, 1.0])
#: Mean HU above which a place is denser than aerated lung: soft tissue, or a ground-glass nodule.
TISSUE_HU = -700.0
#: HU of aerated lung; air outside the patient is below.
LUNG_HU = (-980.0, -600.0)
#: How far from a point lung is looked for, and the share of places that must be lung.
LUNG_MM, LUNG_SHARE = 20.0, 0.05
#: Two-sided level of the sign test over the cases.
LEVEL = 0.05
#: Strong evidence for one frame decides when it is so many times that for the other.
DECISIVE = 3

Verdict = Literal["given", "mirrored", "unclear", "untested"]


@dataclass(frozen=True)
class Evidence:
    """What lies at one place.

    Attributes:
        inside: whether the place is in the image.
        hu: mean of the voxels within 1 mm; NaN outside, and where values are no CT numbers.
        tissue: whether ``hu`` is denser than aerated lung.
        lung: whether there is lung within 20 mm.
        in_mask: whether the place is in the lesion's mask; None without a mask.
    """

    inside: bool
    hu: float = float("nan")
    tissue: bool = False
    lung: bool = False
    in_mask: bool | None = None


@dataclass(frozen=True)
class FrameTest:
    """Both frames over all cases that have a point in mm.

    Attributes:
        frame: the frame the points were read in.
        named: whether somebody named that frame; otherwise both are candidates.
        tested: number of cases.
        given, mirrored: the evidence of each case, in the same order.
        for_given, for_mirrored: cases that fit one frame better than the other.
        strong_given, strong_mirrored: those of them that tell by mask or border of the image.
        verdict: which frame fits; 'unclear' when the cases do not tell, 'untested' without any.
    """

    frame: str
    named: bool
    given: tuple[Evidence, ...]
    mirrored: tuple[Evidence, ...]
    for_given: int
    for_mirrored: int
    strong_given: int
    strong_mirrored: int
    verdict: Verdict

    @property
    def tested(self) -> int:
        """How many cases have a point in mm."""
        return len(self.given)

    @property
    def other(self) -> str:
        """The frame the points were not read in."""
        return "LPS" if self.frame == "RAS" else "RAS"

    @property
    def best(self) -> str:
        """The frame that fits; '' when the cases do not tell."""
        return {"given": self.frame, "mirrored": self.other}.get(self.verdict, "")


def look(
    volume: Volume, point: np.ndarray, contains: Callable[[np.ndarray], np.ndarray] | None
) -> Evidence:
    """What lies at ``point``.

    Args:
        volume: an image in millimetres.
        point: RAS+ mm [3].
        contains: whether places [..., 3] are in the lesion's mask; None without one.
    """
    in_mask = None if contains is None else bool(contains(point))
    index = to_index(point, volume.affine)
    if not within(index, volume.shape):
        return Evidence(False, in_mask=in_mask)
    around = region(volume, point, np.full(3, LUNG_MM))
    if around is None or volume.value_range is not None:
        return Evidence(True, in_mask=in_mask)
    near = around.sample(point + _grid(1.0, 3))
    wide = around.sample(point + _grid(LUNG_MM, 11))
    wide = wide[np.isfinite(wide)]
    hu = float(np.nanmean(near)) if np.isfinite(near).any() else float("nan")
    lung = wide.size > 0 and ((wide > LUNG_HU[0]) & (wide < LUNG_HU[1])).mean() >= LUNG_SHARE
    return Evidence(True, hu, hu > TISSUE_HU, bool(lung), in_mask)


def vote(given: Evidence, mirrored: Evidence) -> tuple[int, bool]:
    """1 when the point fits as given, -1 when mirrored, 0 when both fit alike; and how surely.

    The mask tells first, then the border of the image (both strong); then whether one place is
    soft tissue and the other lung or air; then whether lung is near.
    """
    if given.in_mask != mirrored.in_mask:
        return (1 if given.in_mask else -1), True
    if given.inside != mirrored.inside:
        return (1 if given.inside else -1), True
    for name in ("tissue", "lung"):
        if getattr(given, name) != getattr(mirrored, name):
            return (1 if getattr(given, name) else -1), False
    return 0, False


def judge(pairs: Sequence[tuple[Evidence, Evidence]], frame: str, named: bool) -> FrameTest:
    """The verdict over all cases, each with its evidence as given and mirrored."""
    votes = [vote(*pair) for pair in pairs]
    count = {side: sum(v == side for v, _ in votes) for side in (1, -1)}
    strong = {side: sum(v == side and sure for v, sure in votes) for side in (1, -1)}
    return FrameTest(
        frame,
        named,
        tuple(given for given, _ in pairs),
        tuple(mirrored for _, mirrored in pairs),
        count[1],
        count[-1],
        strong[1],
        strong[-1],
        _verdict(count, strong) if pairs else "untested",
    )


def _verdict(count: dict[int, int], strong: dict[int, int]) -> Verdict:
    """A sign test over the cases; with few of them, strong evidence that is hardly opposed."""
    names: dict[int, Verdict] = {1: "given", -1: "mirrored"}
    for side in (1, -1):
        ahead = count[side] > count[-side]
        if ahead and sign_test(count[1], count[-1]) < LEVEL:
            return names[side]
        if ahead and strong[side] and strong[side] >= DECISIVE * strong[-side]:
            return names[side]
    return "unclear"


def sign_test(first: int, second: int) -> float:
    """Two-sided exact p of ``first`` against ``second`` successes under equal chances.

    >>> sign_test(6, 0), sign_test(3, 3)
    (0.03125, 1.0)
    """
    total, fewer = first + second, min(first, second)
    tail = sum(comb(total, k) for k in range(fewer + 1))
    return min(1.0, 2 * tail / 2**total)


def _grid(reach: float, count: int) -> np.ndarray:
    steps = np.linspace(-reach, reach, count)
    return np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1)
