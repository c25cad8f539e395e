"""Slicer's segmentations (.seg.nrrd): NRRD labels with the segments' names in the header."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from capsmed import config
from capsmed.data.checks import judge
from capsmed.data.masks import label_map, slabs
from capsmed.data.masks.mask import Mask
from capsmed.data.masks.segments import Segment, choose
from capsmed.data.readers import nrrd, open_volume
from capsmed.data.readers.nrrd_header import Header, read_header
from capsmed.errors import DataError

_FIELD = re.compile(r"Segment(\d+)_ID|Segment(\d+)_Name")


class _Place(NamedTuple):
    segment: Segment
    layer: int


def read(path: Path, segment: str, checks: config.Checks) -> Mask:
    """One segment by its name or label value; a NRRD without segments is an image of labels.

    Segments that overlap lie in layers, a fourth axis; older files give each its own layer and
    name neither layer nor value.

    Raises:
        CheckFailed: the file knows no place in the patient, and that check is not 'warn'.
        DataError: unreadable, or no such segment.
    """
    header = read_header(path)
    places = _segments(header)
    if not places:
        return label_map.read(open_volume(path, checks), segment)
    chosen = places[choose([place.segment for place in places], segment)]
    layers = nrrd.open_layers(header)
    if not 0 <= chosen.layer < len(layers):
        raise DataError(f"expected the segment's layer below {len(layers)}, got {chosen.layer}")
    volume = judge(layers[chosen.layer], checks, path)
    return slabs.where(volume, lambda values: values == chosen.segment.number)


def _segments(header: Header) -> list[_Place]:
    said = header.pairs
    numbers = sorted({int(m[1] or m[2]) for name in said if (m := _FIELD.fullmatch(name))})
    layered = len(header.wholes("sizes")) == 4
    return [
        _Place(
            Segment(int(said.get(f"Segment{n}_LabelValue", 1)), said.get(f"Segment{n}_Name", "")),
            int(said.get(f"Segment{n}_Layer", n if layered else 0)),
        )
        for n in numbers
    ]
