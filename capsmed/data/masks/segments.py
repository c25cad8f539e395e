"""Finding the segment or ROI that a table names among those of a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from capsmed.errors import DataError, did_you_mean


class Segment(NamedTuple):
    """One segment or ROI of a file: its number there, and its name."""

    number: int
    name: str


def choose(segments: Sequence[Segment], wanted: str) -> int:
    """The place in ``segments`` of the one that ``wanted`` names, or of the only one for ''.

    A name is looked for first, letter by letter; then a number.

    Raises:
        DataError: there is none, or several could be meant; their names are listed.
    """
    if not segments:
        raise DataError("expected a segment, got a file without any")
    if not wanted and len(segments) == 1:
        return 0
    if not wanted:
        raise DataError(
            f"expected one segment, got {len(segments)}; name it in the column mask_segment: "
            f"{_listed(segments)}"
        )
    found = [i for i, segment in enumerate(segments) if segment.name == wanted]
    found = found or [i for i, segment in enumerate(segments) if str(segment.number) == wanted]
    if len(found) == 1:
        return found[0]
    if found:
        numbers = ", ".join(str(segments[i].number) for i in found)
        raise DataError(
            f"{len(found)} segments are called {wanted!r}; give one's number in the column "
            f"mask_segment: {numbers}"
        )
    near = did_you_mean(wanted, [segment.name for segment in segments])
    raise DataError(f"no segment {wanted!r}; the file has {_listed(segments)}{near}")


def _listed(segments: Sequence[Segment]) -> str:
    shown = ", ".join(f"{name!r} ({number})" for number, name in segments[:20])
    return shown + (f" and {len(segments) - 20} more" if len(segments) > 20 else "")
