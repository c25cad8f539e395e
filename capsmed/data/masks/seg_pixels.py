"""Pixels of a DICOM segmentation: one bit each, or bytes, plain or compressed; frame by frame."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import numpy as np

from capsmed.data.dicom import codestream
from capsmed.data.dicom.header import UNDEFINED, Header
from capsmed.data.dicom.parsing import header_of
from capsmed.data.dicom.pixels import word
from capsmed.data.dicom.reading import DataSet, File
from capsmed.data.dicom.soundness import problem
from capsmed.errors import DataError


def inside(file: File, found: DataSet, frames: Sequence[int], wanted: int) -> Iterator[np.ndarray]:
    """The pixels of each frame that belong to a segment, bool [row, column].

    Args:
        file: the segmentation.
        found: its elements.
        frames: their numbers, from 0.
        wanted: the segment's number, by which a label map's pixels are chosen.

    Raises:
        DataError: the pixels are cut off, damaged or fewer than declared; none was allocated.
    """
    header = _header(file, found)
    kind = str(found.elements.get("SegmentationType", ""))
    whole = float(found.elements.get("MaximumFractionalValue") or 255)
    half = whole / 2 if kind == "FRACTIONAL" else 0.5
    for frame in frames:
        values = _stored(file, header, frame)
        yield np.asarray(values == wanted if kind == "LABELMAP" else values >= half)


def _header(file: File, found: DataSet) -> Header:
    if found.pixels is None:
        raise DataError("the SEG has no pixels (cut off?); get the file again")
    header = header_of(str(file.name), os.fstat(file.fileno()), found, found.pixels)
    if header.samples != 1:
        raise DataError(f"expected one sample a pixel of the SEG, got {header.samples}")
    if not _of_bits(header):
        if why := problem(header, file):
            raise DataError(f"the SEG cannot be read: {why}")
        return header
    size = header.rows * header.columns * header.frames
    length = found.pixels.length if found.pixels.length != UNDEFINED else 0
    held = min(length, file.size - found.pixels.offset)
    if min(header.rows, header.columns, header.frames) < 1 or size > 8 * held:
        raise DataError(
            f"the SEG's pixels are cut off: {header.rows} rows x {header.columns} columns x "
            f"{header.frames} frames need {-(-size // 8)} bytes, got {held}; get the file again"
        )
    return header


def _of_bits(header: Header) -> bool:
    return header.bits_allocated == 1 and header.native


def _stored(file: File, header: Header, frame: int) -> np.ndarray:
    """Stored numbers of one frame [row, column]."""
    if not header.native:
        return codestream.decoded(file, header, frame)
    shape = header.rows, header.columns
    size = header.rows * header.columns
    if not _of_bits(header):
        file.seek(header.pixels.offset + frame * header.frame_bytes)
        return np.frombuffer(file.read(header.frame_bytes), word(header)).reshape(shape)
    first = frame * size  # frames follow one another bit by bit, without a gap
    file.seek(header.pixels.offset + first // 8)
    packed = file.read(-(-(first + size) // 8) - first // 8)
    bits = np.unpackbits(np.frombuffer(packed, np.uint8), bitorder="little")
    return bits[first % 8 : first % 8 + size].reshape(shape)
