"""NRRD images (.nrrd, .nhdr): voxels after the header, or in one file beside it."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from capsmed.data.readers import world
from capsmed.data.readers.nrrd_header import Header, read_header
from capsmed.data.readers.stored import Block
from capsmed.data.volume import Finding, Volume
from capsmed.errors import DataError

_SIGNS = {
    "right-anterior-superior": (1.0, 1.0, 1.0),
    "ras": (1.0, 1.0, 1.0),
    "left-anterior-superior": (-1.0, 1.0, 1.0),
    "las": (-1.0, 1.0, 1.0),
    "left-posterior-superior": world.LPS,
    "lps": world.LPS,
}
_TYPES = {
    "i1": "signed char, int8, int8_t",
    "u1": "uchar, unsigned char, uint8, uint8_t",
    "i2": "short, short int, signed short, signed short int, int16, int16_t",
    "u2": "ushort, unsigned short, unsigned short int, uint16, uint16_t",
    "i4": "int, signed int, int32, int32_t",
    "u4": "uint, unsigned int, uint32, uint32_t",
    "i8": "longlong, long long, long long int, signed long long, signed long long int, int64, "
    "int64_t",
    "u8": "ulonglong, unsigned long long, unsigned long long int, uint64, uint64_t",
    "f4": "float",
    "f8": "double",
}
_CODES = {name: code for code, names in _TYPES.items() for name in names.split(", ")}
_PACKINGS = {"raw": "raw", "gzip": "deflate", "gz": "deflate", "bzip2": "bzip2", "bz2": "bzip2"}
_ORDERS = {"little": "<", "big": ">"}
_MOST_LAYERS = 1000
_IN_SPACE = ("domain", "space", "none", "???")
_MILLIMETRES = ("", "mm", "millimeter", "millimeters")


def open_volume(path: Path) -> Volume:
    """Open an image of three axes in space; voxels are read only when asked for.

    Without a patient space (RAS, LAS or LPS), directions and origin the finding is
    'missing_geometry'; the axes are then taken as RAS, with the spacing that the file names.

    Raises:
        DataError: the file is no NRRD, cut off, in a form that is not read, has several values a
            voxel, is not in millimetres, or names a data file outside its own folder.
    """
    layers = _Layers(read_header(path))
    if layers.count > 1:
        raise DataError(
            f"{path}: expected a 3D image of one value a voxel, got {layers.count}; split it first"
        )
    return layers.volume(0)


def open_layers(header: Header) -> tuple[Volume, ...]:
    """One volume for each entry of the axis that is not in space; one, where there is none.

    Raises:
        DataError: as ``open_volume``, several values a voxel excepted.
    """
    layers = _Layers(header)
    if layers.count > _MOST_LAYERS:
        raise DataError(f"{header.file}: expected up to {_MOST_LAYERS} layers, got {layers.count}")
    return tuple(layers.volume(number) for number in range(layers.count))


class _Layers:
    """The volumes that lie interleaved, or one behind the other, in one block."""

    def __init__(self, header: Header) -> None:
        self.block = _block(header)
        self.axes = _axes_in_space(header, self.block.shape)
        self.affine, self.findings = _placed(header, self.axes)
        self.files = tuple(dict.fromkeys([header.file, self.block.file]))
        others = set(range(len(self.block.shape))) - set(self.axes)
        self.count = math.prod(self.block.shape[axis] for axis in others)

    def volume(self, number: int) -> Volume:
        return world.volume(
            self.block,
            self.affine,
            "nrrd",
            files=self.files,
            findings=self.findings,
            axes=self.axes,
            layer=number,
        )


def _block(header: Header) -> Block:
    code = _CODES.get(header.field("type").lower())
    if code is None:
        raise DataError(f"{header.file}: expected real numbers, got '{header.fields['type']}'")
    dtype = np.dtype(code if code in ("i1", "u1") else _choice(header, "endian", _ORDERS) + code)
    packing = _choice(header, "encoding", _PACKINGS)
    sizes = tuple(header.wholes("sizes"))
    if header.wholes("dimension") != [len(sizes)]:
        raise DataError(
            f"{header.file}: expected {header.fields['dimension']} sizes, its dimension, got "
            f"{list(sizes)}"
        )
    detached = header.fields.get("datafile")
    file = header.file if detached is None else world.beside(header.file, detached)
    return _from_first_voxel(header, Block(file, sizes, dtype, packing)).check()


def _choice(header: Header, name: str, known: dict[str, str]) -> str:
    text = header.field(name).lower()
    if text not in known:
        raise DataError(
            f"{header.file}: expected the {name} {', '.join(known)}, got '{text}'; rewrite it"
        )
    return known[text]


def _from_first_voxel(header: Header, block: Block) -> Block:
    """The block past the header, the lines and then the bytes to skip."""
    lines, skip = header.wholes("lineskip", "0")[0], header.wholes("byteskip", "0")[0]
    if skip < -1 or lines < 0 or (skip == -1 and block.packing != "raw"):
        raise DataError(f"{header.file}: expected to skip 0 or more bytes and lines, got less")
    start = header.end if block.file == header.file else 0
    if lines and block.file.is_file():
        with block.file.open("rb") as file:
            file.seek(start)
            start += sum(len(line) for line in islice(file, lines))
    if skip == -1:
        return block.at_end(start)
    if block.packing == "raw":
        return replace(block, start=start + skip)
    return replace(block, start=start, skip=skip)


def _axes_in_space(header: Header, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The three axes that run through the patient; there is at most one other."""
    directions, kinds = header.vectors("spacedirections"), header.fields.get("kinds", "").split()
    known = [vector is not None for vector in directions]
    known = known or [kind.lower() in _IN_SPACE for kind in kinds] or [True] * len(shape)
    axes = tuple(axis for axis, inside in enumerate(known) if inside)
    if len(axes) != 3 or len(known) != len(shape) or len(shape) > 4:
        raise DataError(
            f"{header.file}: expected three axes in space and at most one other, got "
            f"{len(axes)} of {list(shape)}; split it first"
        )
    return axes


@np.errstate(over="ignore", invalid="ignore")
def _placed(header: Header, axes: tuple[int, ...]) -> tuple[np.ndarray | None, tuple[Finding, ...]]:
    """The affine, index to RAS+ mm, and what is odd about it."""
    _check_millimetres(header)
    vectors = header.vectors("spacedirections")
    steps = [vectors[axis] for axis in axes] if vectors else []
    origin = header.vectors("spaceorigin")
    if any(len(vector or ()) != 3 for vector in steps + origin) or len(origin) > 1:
        raise DataError(f"{header.file}: expected directions and an origin of three numbers")
    space = header.fields.get("space", "").lower()
    if space in _SIGNS and steps and origin:
        turned = world.to_ras(np.array(steps).T, np.array(origin[0]), _SIGNS[space], header.file)
        return turned, ()
    missing = [f"a patient space (it has '{space}')"] * (space not in _SIGNS)
    missing += ["space directions"] * (not steps) + ["a space origin"] * (not origin)
    finding = Finding("missing_geometry", f"expected {', '.join(missing)}, got none")
    lengths = np.linalg.norm(np.array(steps), axis=1) if steps else _spacings(header, axes)
    if lengths is None:
        return None, (finding,)
    return world.checked(np.diag([*lengths, 1.0]), header.file), (finding,)


def _spacings(header: Header, axes: tuple[int, ...]) -> np.ndarray | None:
    given = header.vectors("spacings")
    if not given:
        return None
    numbers = [(vector or [np.nan])[0] for vector in given]
    return np.abs([numbers[axis] if axis < len(numbers) else np.nan for axis in axes])


def _check_millimetres(header: Header) -> None:
    units = re.findall(r'"([^"]*)"', header.fields.get("spaceunits", ""))
    if any(unit.lower() not in _MILLIMETRES for unit in units):
        raise DataError(f"{header.file}: expected millimetres, got {units}; rewrite its header")
