"""Compressed pixels: one frame's bytes and what they declare, checked before any decoder runs.

A stream that declares another size or kind than its header makes some decoders allocate gigabytes
or end the process; none of them is shown one.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from capsmed.data.dicom import decoders
from capsmed.data.dicom.header import NATIVE, Header
from capsmed.data.dicom.reading import QUIET
from capsmed.errors import DataError

_SEQUENTIAL, _LOSSLESS, _JPEG_LS, _JPEG_2000 = {0xC0, 0xC1}, {0xC3}, {0xF7}, {0x51}
_KINDS = {
    "1.2.840.10008.1.2.4.50": _SEQUENTIAL,
    "1.2.840.10008.1.2.4.51": _SEQUENTIAL,
    "1.2.840.10008.1.2.4.57": _LOSSLESS,
    "1.2.840.10008.1.2.4.70": _LOSSLESS,
    "1.2.840.10008.1.2.4.80": _JPEG_LS,
    "1.2.840.10008.1.2.4.81": _JPEG_LS,
}
_START_OF_FRAME = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
_ALONE = {*range(0xD0, 0xDA)}
_REMARKS = {*range(0xE0, 0xF0), 0xFE}
_START_OF_SCAN, _END = 0xDA, b"\xff\xd9"
_START_OF_2000 = b"\xff\x4f\xff\x51"
_LONGEST_BOXES = 4096  # a .jp2 file's boxes before its stream, which some writers leave in


@dataclass(frozen=True)
class Stream:
    """What a compressed frame declares.

    Attributes:
        kind: the marker of its frame header: 0xC3 is JPEG Lossless, 0x51 JPEG 2000.
        rows: of pixels.
        columns: of pixels.
        samples: a pixel.
        bits: a sample.
    """

    kind: int
    rows: int
    columns: int
    samples: int
    bits: int


def decoded(file: BinaryIO, header: Header, frame: int) -> np.ndarray:
    """One whole frame [rows, columns] as stored words, unused bits as the decoder gives them.

    Raises:
        DataError: no decoder is installed, or the frame is damaged or not of the declared size.
    """
    from pydicom.encaps import get_frame

    if why := "" if header.syntax in NATIVE else decoders.missing(header.syntax):
        raise DataError(f"{header.path}: {why}")
    file.seek(header.pixels.offset)
    try:
        with QUIET:
            if header.syntax in NATIVE:
                return decoders.plain(file, header, frame)
            table, frames = header.frame_table, header.frames
            data = get_frame(file, frame, extended_offsets=table, number_of_frames=frames)
            if problem := _problem(header, data):
                raise ValueError(problem)
            if decoders.by_gdcm(header.syntax):
                data = without_remarks(data)
            values = decoders.decode(data, header)
        if values.shape != (header.rows, header.columns):
            raise ValueError(f"got pixels of shape {values.shape}")
    except Exception as error:  # every decoder has exceptions of its own
        raise DataError(
            f"{header.path}: its compressed pixels cannot be decoded; copy the file again "
            f"({_line(error)})"
        ) from error
    return values.astype(f"{'i' if header.signed else 'u'}{header.bits_allocated // 8}", copy=False)


def declared(data: bytes) -> Stream | None:
    """What a JPEG, JPEG-LS or JPEG 2000 stream says of itself; None when it is none."""
    at = data[:_LONGEST_BOXES].find(_START_OF_2000)
    boxes = data[4:8] == b"jP  "
    if at == 0 or (boxes and at > 0):
        head = data[at : at + 43]
        if len(head) < 43:
            return None
        right, bottom, left, top = struct.unpack(">4L", head[8:24])
        samples, bits = struct.unpack(">HB", head[40:43])
        return Stream(0x51, bottom - top, right - left, samples, (bits & 0x7F) + 1)
    return _declared_jpeg(data) if data.startswith(b"\xff\xd8") else None


def without_remarks(data: bytes) -> bytes:
    """A JPEG stream without its application segments and comments.

    GDCM ends the process over an odd version number in one of them; grey pixels need none.
    """
    segments, rest = _segments(data)
    kept = [
        bytes((0xFF, mark)) + (len(body) + 2).to_bytes(2, "big") + body
        for mark, body in segments
        if mark not in _REMARKS
    ]
    return b"".join([data[:2], *kept, rest])


def _declared_jpeg(data: bytes) -> Stream | None:
    stream = None
    for mark, body in _segments(data)[0]:
        if mark in _START_OF_FRAME and len(body) >= 6 and stream is None:
            bits, rows, columns, samples = struct.unpack(">BHHB", body[:6])
            stream = Stream(mark, rows, columns, samples, bits)
        if mark == _START_OF_SCAN:
            return stream if _sound_scan(stream, body) else None
    return None


def _segments(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """Marker and body of each segment up to the scan, and the bytes after the last of them.

    The walk ends where the chain is broken, which GDCM would end the process over.
    """
    found, at = [], 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        mark, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if mark == 0xFF:  # filling
            at += 1
            continue
        if mark in _ALONE or mark < 0xC0 or length < 2:
            break
        found.append((mark, data[at + 4 : at + 2 + length]))
        at += 2 + length
        if mark == _START_OF_SCAN:
            break
    return found, data[at:]


def _sound_scan(stream: Stream | None, body: bytes) -> bool:
    """Whether a scan header belongs to the frame: one component each, a predictor of 1 to 7."""
    if stream is None or not body or len(body) != 4 + 2 * body[0]:
        return False
    return stream.kind not in _LOSSLESS or 1 <= body[-3] <= 7


def _problem(header: Header, data: bytes) -> str:
    """Why a decoder shall not see these bytes, or ''."""
    if header.syntax == decoders.RLE:
        return ""  # it declares nothing
    stream = declared(data)
    if stream is None or stream.kind not in _KINDS.get(header.syntax, _JPEG_2000):
        return "they are not of the kind that the transfer syntax names"
    found = stream.rows, stream.columns, stream.samples
    if found != (header.rows, header.columns, header.samples):
        return (
            f"expected {header.rows} rows and {header.columns} columns, got {stream.rows} and "
            f"{stream.columns}"
        )
    if stream.kind not in _JPEG_2000 and not data[-8:].rstrip(b"\x00\xff").endswith(_END):
        return "they are cut off"
    if stream.bits > header.bits_allocated:
        return f"expected up to {header.bits_allocated} bits a sample, got {stream.bits}"
    return ""


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
