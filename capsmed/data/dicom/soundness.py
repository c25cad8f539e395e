"""Whether the pixels that a header declares can be in its file; nothing is decoded or allocated."""

from __future__ import annotations

import struct

from capsmed.data.dicom.header import DEFLATED, UNDEFINED, WHOLE_NUMBERS, Header
from capsmed.data.dicom.reading import Damaged, File

_SMALL_FRAME = 2**24  # bytes: 2048 x 2048 of 16 bits pass whatever their compression
_MOST_COMPRESSED = 2000  # uncompressed bytes a byte; a slice of nothing but air reaches about 1000
_MOST_DEFLATED = 1040  # the most that deflate can do
_SEQUENCE_END = b"\xfe\xff\xdd\xe0"


def problem(header: Header, file: File) -> str:
    """What is wrong with the declared pixels, or ''.

    Raises:
        Damaged: compressed pixels break off.
    """
    return _wrong_pixels(header) or _wrong_size(header, file)


def _wrong_pixels(header: Header) -> str:
    """What is wrong with the declared kind of pixels, or ''."""
    bits = f"{header.bits_stored} of {header.bits_allocated} bits"
    if header.pixels.tag != WHOLE_NUMBERS:
        return "expected whole-number pixels, got floating-point ones"
    if min(header.rows, header.columns, header.frames) < 1:
        return f"expected Rows, Columns and frames above 0, got {_size(header)}"
    if header.bits_allocated not in (8, 16, 32) or header.bits_stored > header.bits_allocated:
        return f"expected pixels of 8, 16 or 32 bits, got {bits}"
    if header.pixels.length == UNDEFINED and header.native:
        return "its pixels are encapsulated, but its transfer syntax is not a compressed one"
    if header.pixels.length != UNDEFINED and not header.native:
        return "its transfer syntax is a compressed one, but its pixels are not encapsulated"
    return ""


def _wrong_size(header: Header, file: File) -> str:
    """Why the declared matrix cannot come out of a file of this size, or ''."""
    declared = header.frame_bytes * header.frames
    if not header.native:
        return _wrong_compressed_size(header, *_fragments(file, header.pixels.offset))
    if declared > header.pixels.length:
        held = header.pixels.length
        return f"{_size(header)} need {declared} bytes of pixel data, got {held}; it is damaged"
    room = header.size * (_MOST_DEFLATED if header.syntax == DEFLATED else 1)
    if header.pixels.offset + declared > room:
        held = max(0, header.size - header.pixels.offset)
        return f"{_size(header)} need {declared} bytes of pixel data, got {held}: it is cut off"
    return ""


def _wrong_compressed_size(header: Header, count: int, held: int) -> str:
    if count < header.frames:
        return f"expected {header.frames} compressed frames, got {count}"
    if header.frame_bytes > max(_SMALL_FRAME, _MOST_COMPRESSED * held // header.frames):
        return f"{_size(header)} cannot come from {held} compressed bytes; it is damaged"
    return ""


def _fragments(file: File, offset: int) -> tuple[int, int]:
    """How many fragments the compressed pixels have, and how many bytes in all.

    Raises:
        Damaged: they break off before their end mark.
    """
    from pydicom.encaps import parse_basic_offsets, parse_fragments

    file.seek(offset)
    try:
        parse_basic_offsets(file)
        count, starts = parse_fragments(file)
        end = file.tell()
        if starts:
            file.seek(starts[-1] + 4)
            end = starts[-1] + 8 + int(struct.unpack("<L", file.read(4))[0])
            file.seek(end)
    except (ValueError, struct.error) as error:
        raise Damaged("its compressed pixels are broken") from error
    if file.read(4) != _SEQUENCE_END:
        raise Damaged("its compressed pixels are cut off")
    return count, end - starts[0] - 8 * count if starts else 0


def _size(header: Header) -> str:
    return f"{header.rows} rows x {header.columns} columns x {header.frames} frames"
