"""Voxels of a DICOM stack: only the slices, and of plain pixels only the rows, that a box needs."""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from capsmed.data.dicom import codestream
from capsmed.data.dicom.frames import Plane
from capsmed.data.dicom.header import DEFLATED, EXPLICIT_BIG, Header
from capsmed.data.dicom.reading import opened
from capsmed.data.volume import Box
from capsmed.errors import DataError

_BRIGHTEST_HU = 3071  # a padding value above it was written with the wrong sign
_AIR_HU = -1024.0
_INFLATED_AT_ONCE = 16384  # bytes; they can become a thousand times as many


@dataclass(frozen=True)
class Stack:
    """Reads boxes of a stack of planes; it can be pickled.

    Attributes:
        planes: in the order of the third axis.
        places: for each index z the two planes it is interpolated from, and the second's share.
    """

    planes: tuple[Plane, ...]
    places: tuple[tuple[int, int, float], ...]

    def __call__(self, box: Box | None) -> np.ndarray:
        """The float32 values [x, y, z] of a box of slices, in HU; None reads everything.

        Raises:
            DataError: a file is damaged, has changed, or no decoder for its syntax is installed.
        """
        header = self.planes[0].header
        x, y, z = box if box is not None else (slice(None),) * 3
        rows, columns = range(header.rows)[y], range(header.columns)[x]
        wanted = self.places[z]
        values = np.empty((len(wanted), len(rows), len(columns)), np.float32)
        read = _Recent(self.planes, rows, columns)
        for number, (before, after, share) in enumerate(wanted):
            values[number] = read(before)
            if share:
                values[number] += np.float32(share) * (read(after) - values[number])
        return values.transpose(2, 1, 0)


class _Recent:
    """Reads planes, remembering the last two."""

    def __init__(self, planes: tuple[Plane, ...], rows: range, columns: range) -> None:
        self._planes, self._rows, self._columns = planes, rows, columns
        self._kept: dict[int, np.ndarray] = {}

    def __call__(self, number: int) -> np.ndarray:
        if number not in self._kept:
            while len(self._kept) > 1:
                self._kept.pop(next(iter(self._kept)))
            self._kept[number] = hounsfield(self._planes[number], self._rows, self._columns)
        return self._kept[number]


def hounsfield(plane: Plane, rows: range, columns: range) -> np.ndarray:
    """Part of one plane with its own rescale applied, float32 [rows, columns].

    Padding outside the field of view keeps its value, which lies at or below air; a padding value
    brighter than CT numbers go, a negative one written without its sign, becomes -1024 HU.

    Raises:
        DataError: the file is damaged, has changed, or no decoder for its syntax is installed.
    """
    header = plane.header
    stored = _stored(plane, rows, columns)
    slope = 1.0 if plane.slope is None else plane.slope
    intercept = 0.0 if plane.intercept is None else plane.intercept
    padded = None
    if header.padding is not None and header.padding * slope + intercept > _BRIGHTEST_HU:
        padded = stored == header.padding
    stored = numbers(stored, header, padded)
    exact = np.float64 if header.bits_allocated > 16 else np.float32
    values: np.ndarray = stored.astype(exact)
    values *= slope
    values += intercept
    if padded is not None:
        values[padded] = _AIR_HU
    return values.astype(np.float32, copy=False)


def numbers(words: np.ndarray, header: Header, ignored: np.ndarray | None = None) -> np.ndarray:
    """Stored words as the numbers in their lowest Bits Stored bits, sign extended.

    The bits above must be zero, or repeat the sign of a signed number; where an overlay is
    embedded in them they are dropped.

    Raises:
        DataError: they hold something else, so Bits Stored is wrong.
    """
    unused = header.bits_allocated - header.bits_stored
    if unused == 0:
        return words
    plain = words.view(f"u{words.itemsize}") & np.array(
        (1 << header.bits_stored) - 1, f"u{words.itemsize}"
    )
    found = plain.view(words.dtype)
    if header.signed:
        found = (found << unused) >> unused
    if not header.overlay:
        wrong = (words != found) & (words != plain.view(words.dtype))
        if ignored is not None:
            wrong &= ~ignored
        if wrong.any():
            raise DataError(
                f"{header.path}: Bits Stored says {header.bits_stored}, but a pixel holds "
                f"{words[wrong][0]}; the header is wrong, mend it"
            )
    return found


def _stored(plane: Plane, rows: range, columns: range) -> np.ndarray:
    """The stored words of a part of a plane, in the machine's byte order."""
    header = plane.header
    try:
        with opened(header.path) as file:
            status = os.fstat(file.fileno())
            if (status.st_size, status.st_mtime_ns) != (header.size, header.modified):
                raise DataError(f"{header.path}: it has changed since it was opened; start again")
            if not header.native or (header.bits_allocated == 8 and not header.little):
                return codestream.decoded(file, header, plane.frame)[_span(rows)][:, _span(columns)]
            return _plain(file, plane, rows)[:, _span(columns)]
    except (OSError, zlib.error) as error:
        raise DataError(f"{header.path}: its pixels cannot be read ({error})") from error


def _plain(file: BinaryIO, plane: Plane, rows: range) -> np.ndarray:
    """Whole rows of uncompressed pixels, straight from the file."""
    header = plane.header
    dtype = word(header)
    if not rows:
        return np.empty((0, header.columns), dtype)
    first, count = min(rows), max(rows) - min(rows) + 1
    start = header.pixels.offset + plane.frame * header.frame_bytes
    start += first * header.columns * dtype.itemsize
    if header.syntax == DEFLATED:
        raw = _inflated(file, header, start, count * header.columns * dtype.itemsize)
    else:
        file.seek(start)
        raw = file.read(count * header.columns * dtype.itemsize)
    if len(raw) < count * header.columns * dtype.itemsize:
        raise DataError(f"{header.path}: its pixel data are cut off; copy the file again")
    words = np.frombuffer(raw, dtype).reshape(count, header.columns)
    return words[_span(range(rows.start - first, rows.stop - first, rows.step))].astype(
        dtype.newbyteorder("="), copy=False
    )


def word(header: Header) -> np.dtype:
    """Type of one stored word."""
    order = ">" if header.syntax == EXPLICIT_BIG else "<"
    return np.dtype(f"{order}{'i' if header.signed else 'u'}{header.bits_allocated // 8}")


def _inflated(file: BinaryIO, header: Header, start: int, count: int) -> bytes:
    """Bytes of the inflated data set; those before them are dropped piece by piece."""
    file.seek(header.start)
    inflater, seen, found = zlib.decompressobj(-zlib.MAX_WBITS), 0, bytearray()
    while len(found) < count and (piece := file.read(_INFLATED_AT_ONCE)):
        data = inflater.decompress(piece)
        found += data[max(0, start - seen) : start + count - seen]
        seen += len(data)
    return bytes(found)


def _span(indices: range) -> slice:
    """A range within an axis as the slice that takes it."""
    if not indices:
        return slice(0, 0)
    stop = indices.stop if indices.step > 0 or indices.stop >= 0 else None
    return slice(indices.start, stop, indices.step)
