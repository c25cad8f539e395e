"""pydicom's parser within bounds: no warning, none of the pixels, no more memory than needed.

pydicom trusts the lengths that a file declares, warns about oddities, and inflates a deflated file
whole; an archive holds damaged files, and headers are read in threads.
"""

from __future__ import annotations

import io
import os
import threading
import warnings
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from capsmed.data.dicom.header import (
    DEFLATED,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    PIXELS,
    PixelElement,
)

if TYPE_CHECKING:
    from pydicom import Dataset

_READ_AHEAD = 32768  # bytes, in which most headers end
_UNCHECKED = 65536  # bytes that may be allocated whatever a file's size
_MOST_PIECES = 2**21  # reads; pydicom makes an object of every 8 bytes of a broken sequence
_LONGEST_HEADER = 2**25


class Damaged(Exception):
    """The bytes are no data set, or end before it does."""


class File(io.BufferedReader):
    """Bytes to read, of which no more are allocated than there are.

    Args:
        raw: a file, or bytes in memory.
        size: their length.

    Raises:
        Damaged: from ``read``, after more pieces than any sound file has.
    """

    def __init__(self, raw: io.FileIO | io.BytesIO, size: int) -> None:
        super().__init__(raw, _READ_AHEAD)
        self.size = size
        self._left = _MOST_PIECES

    def read(self, size: int | None = -1) -> bytes:
        """As of any file, but for the bounds."""
        self._left -= 1
        if self._left < 0:
            raise Damaged("its header has no end")
        if size is not None and size > _UNCHECKED:
            size = min(size, max(0, self.size - self.tell()))
        return super().read(size)


def opened(path: Path | str) -> File:
    """A file on disk."""
    raw = io.FileIO(path)
    return File(raw, os.fstat(raw.fileno()).st_size)


class _Quiet:
    """Mutes pydicom's warnings while any thread is inside.

    Filters belong to the process: threads that each restored them would undo one another's.
    """

    def __init__(self) -> None:
        self._lock, self._inside = threading.Lock(), 0
        self._caught = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._caught = warnings.catch_warnings()
                self._caught.__enter__()
                warnings.filterwarnings("ignore", module="pydicom")
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._caught.__exit__(None, None, None)


QUIET = _Quiet()


@dataclass(frozen=True)
class DataSet:
    """Elements of a file before its pixels.

    Attributes:
        elements: those wanted, unconverted until they are asked for.
        media: MediaStorageSOPClassUID.
        syntax: transfer syntax UID, guessed when none is named.
        start: offset of the data set in the file.
        pixels: where they lie; None when they were not found.
        file: that their offset counts in: of a deflated data set, the first of its inflated bytes.
    """

    elements: Dataset
    media: str
    syntax: str
    start: int
    pixels: PixelElement | None
    file: File


def file_meta(file: File) -> tuple[str, str]:
    """MediaStorageSOPClassUID and transfer syntax UID, '' where not named; up to the data set.

    Args:
        file: at its beginning.

    Raises:
        Exception: of many kinds, when it cannot be parsed.
    """
    from pydicom.filereader import read_dataset, read_preamble

    read_preamble(file, force=True)
    meta = read_dataset(file, False, True, stop_when=lambda tag, *_: tag >> 16 != 2)
    return str(meta.get("MediaStorageSOPClassUID", "")), str(meta.get("TransferSyntaxUID", ""))


def data_set(file: File, wanted: Iterable[int]) -> DataSet:
    """Parse a file, with or without preamble and file meta information, up to its pixels.

    Args:
        file: at its beginning.
        wanted: tags of the elements to keep.

    Raises:
        Exception: of many kinds, when it cannot be parsed.
    """
    from pydicom.filereader import read_dataset

    found: list[PixelElement] = []

    def at_pixels(tag: int, _: str | None, length: int) -> bool:
        if tag in PIXELS:
            found[:] = [PixelElement(int(tag), file.tell(), length)]
        return tag in PIXELS

    media, syntax = file_meta(file)
    start = file.tell()
    if syntax == DEFLATED:
        file = _inflated(file)
    begin = file.tell()
    first, second = file.read(2).ljust(2, b"\0")
    file.seek(begin)
    little = syntax != EXPLICIT_BIG and (bool(syntax) or first != 0 or second == 0)
    implicit = syntax in ("", IMPLICIT_LITTLE)  # pydicom looks whether it is so
    elements = read_dataset(file, implicit, little, stop_when=at_pixels, specific_tags=[*wanted])
    if not syntax:
        implicit = bool(elements.original_encoding[0])
        syntax = IMPLICIT_LITTLE if implicit else EXPLICIT_LITTLE if little else EXPLICIT_BIG
    return DataSet(elements, media, syntax, start, next(iter(found), None), file)


def _inflated(file: File) -> File:
    """The first bytes of a deflated data set: the header, and no more than is honest of pixels."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = inflater.decompress(file.read(_LONGEST_HEADER), _LONGEST_HEADER)
    except zlib.error as error:
        raise Damaged("its deflated data cannot be unpacked") from error
    return File(io.BytesIO(data), len(data))
