"""Voxels that lie in a file as one block, plain or compressed, read box by box."""

from __future__ import annotations

import bz2
import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from capsmed.data.volume import Box
from capsmed.errors import DataError

_CHUNK = 1 << 20
_DEFLATE_MOST = 1032  # a match of 258 bytes takes two bits or more
_GZIP_OR_ZLIB = 47  # zlib's window bits: recognise either header, check the sum at the end


@dataclass(frozen=True)
class Block:
    """Where voxels lie.

    Attributes:
        file: the file that holds them.
        shape: number of voxels along each axis, the fastest first.
        dtype: of one voxel, byte order included.
        packing: 'raw', 'deflate' (zlib or gzip) or 'bzip2'.
        start: byte of the file where the voxels, or their compressed stream, begin.
        skip: bytes before the voxels in the unpacked stream.
    """

    file: Path
    shape: tuple[int, ...]
    dtype: np.dtype
    packing: str = "raw"
    start: int = 0
    skip: int = 0

    @property
    def bytes(self) -> int:
        """How many bytes the voxels take, unpacked."""
        return math.prod(self.shape) * self.dtype.itemsize

    def check(self, exact: bool = True) -> Block:
        """The block itself, when its file can hold what is declared.

        Args:
            exact: whether bytes after plain voxels are a mistake, too.

        Raises:
            DataError: the file is missing or its length contradicts the declared shape.
        """
        if min(self.shape, default=0) < 1:
            raise DataError(f"{self.file}: expected voxels along each axis, got {list(self.shape)}")
        if not self.file.is_file():
            raise DataError(f"{self.file}: not found, but a header beside it names it")
        held = max(self.file.stat().st_size - self.start, 0)
        needed = self.bytes + self.skip
        cut_off = needed > held * {"raw": 1, "deflate": _DEFLATE_MOST}.get(self.packing, math.inf)
        if cut_off or (exact and self.packing == "raw" and needed != held):
            raise DataError(
                f"{self.file}: expected {needed} bytes for {list(self.shape)} voxels of "
                f"{self.dtype}, got {held}{'' if self.packing == 'raw' else ' compressed'}; "
                "the file is cut off or its header wrong"
            )
        return self

    def at_end(self, earliest: int) -> Block:
        """The same plain voxels as the last bytes of their file, not before ``earliest``."""
        size = self.file.stat().st_size if self.file.is_file() else 0
        return replace(self, start=max(earliest, size - self.bytes))

    def read(self, box: Box) -> np.ndarray:
        """The voxels of a box, one slice an axis, in their stored type.

        Of a compressed block only what lies before the last wanted plane is unpacked, and only the
        wanted planes are kept.

        Raises:
            DataError: the file ends before the box does, or its compressed stream is damaged.
        """
        try:
            if self.packing != "raw":
                return self._unpacked(box)
            everything = np.memmap(self.file, self.dtype, "r", self.start, self.shape, order="F")
            return np.array(everything[box])
        except (OSError, EOFError, ValueError, zlib.error) as error:
            raise DataError(f"{self.file}: its voxels cannot be read ({error})") from error

    def _unpacked(self, box: Box) -> np.ndarray:
        first, last, step = box[-1].indices(self.shape[-1])
        plane = self.bytes // self.shape[-1]
        begin, end = self.skip + first * plane, self.skip + max(last, first) * plane
        kept, at = bytearray(), 0
        with self.file.open("rb") as file:
            file.seek(self.start)
            for piece in _inflated(file) if self.packing == "deflate" else _bunzipped(file):
                kept += piece[max(begin - at, 0) : max(end - at, 0)]
                at += len(piece)
                if at >= end:
                    break
        if len(kept) < end - begin:
            raise EOFError(f"the stream ends after {at} bytes; the file is cut off")
        planes = np.frombuffer(kept, self.dtype).reshape((*self.shape[:-1], -1), order="F")
        return planes[(*box[:-1], slice(None, None, step))]


def _inflated(file: BinaryIO) -> Iterator[bytes]:
    """Pieces of one zlib stream, or of gzip members that follow one another."""
    engine = zlib.decompressobj(_GZIP_OR_ZLIB)
    packed = file.read(_CHUNK)
    while packed:
        yield engine.decompress(packed, _CHUNK)
        packed = engine.unconsumed_tail
        if engine.eof:
            packed = engine.unused_data.lstrip(b"\0")  # gzip files may be padded
            engine = zlib.decompressobj(_GZIP_OR_ZLIB)
        packed = packed or file.read(_CHUNK)


def _bunzipped(file: BinaryIO) -> Iterator[bytes]:
    with bz2.BZ2File(file) as stream:
        yield from iter(lambda: stream.read(_CHUNK), b"")
