"""MetaImage files (.mhd, .mha): voxels after the text, or in one file beside it; LPS.

Format: https://docs.itk.org/en/latest/learn/metaio.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from capsmed.data.readers import world
from capsmed.data.readers.stored import Block
from capsmed.data.volume import Finding, Volume
from capsmed.errors import DataError

_LONGEST_LINE, _MOST_LINES = 1 << 16, 1 << 12
_TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",  # four bytes on every machine
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
_PLAIN = {
    "ObjectType": ("Image",),
    "NDims": ("3",),
    "ElementNumberOfChannels": ("1",),
    "BinaryData": ("True", "true", "1"),
    "ElementToIntensityFunctionSlope": ("1", "1.0"),
    "ElementToIntensityFunctionOffset": ("0", "0.0"),
}
_UNIT_TOLERANCE = 1e-3
_TRUE = ("true", "1", "t", "yes")
_SPACING, _SIZE = ("ElementSpacing",), ("ElementSize",)
_POSITION = ("Offset", "Position", "Origin")
_ROTATION = ("TransformMatrix", "Rotation", "Orientation")
_BIG_ENDIAN = ("ElementByteOrderMSB", "BinaryDataByteOrderMSB")


def open_volume(path: Path) -> Volume:
    """Open a 3D image; voxels are read only when asked for.

    Row i of TransformMatrix is the direction of index axis i in LPS, as ITK has it; without it the
    axes are LPS. Without a position or a spacing the finding is 'missing_geometry', and the axes
    are taken as RAS. CenterOfRotation and AnatomicalOrientation say nothing about the place.

    Raises:
        DataError: the file is no MetaImage, cut off, in a form that is not read, has several
            values a voxel, or names a data file outside its own folder.
    """
    fields, end = _header(path)
    _check_form(path, fields)
    affine, findings = _placed(path, fields)
    block = _block(path, fields, end).check()
    files = tuple(dict.fromkeys([path, block.file]))
    return world.volume(block, affine, "metaimage", files=files, findings=findings)


def _header(path: Path) -> tuple[dict[str, str], int]:
    """Every field, ElementDataFile the last of them, and the byte after it."""
    fields: dict[str, str] = {}
    with path.open("rb") as file:
        while "ElementDataFile" not in fields:
            line = file.readline(_LONGEST_LINE).decode("utf-8", "replace")
            name, mark, value = (part.strip() for part in line.partition("="))
            if not mark or len(fields) > _MOST_LINES:
                raise DataError(
                    f"{path}: cannot be read as MetaImage (expected lines 'name = value' up to "
                    "ElementDataFile)"
                )
            if name in fields:
                raise DataError(f"{path}: expected '{name}' once, got it twice")
            fields[name] = value
        return fields, file.tell()


def _check_form(path: Path, fields: Mapping[str, str]) -> None:
    for name, known in _PLAIN.items():
        if fields.get(name, known[0]) not in known:
            raise DataError(
                f"{path}: expected {name} = {known[0]}, got '{fields[name]}'; rewrite it as one 3D "
                "image of plain values"
            )


def _block(path: Path, fields: Mapping[str, str], end: int) -> Block:
    sizes = _numbers(path, fields, ("DimSize",), 3)
    kind = fields.get("ElementType", "none")
    if sizes is None or not np.isfinite(sizes).all() or (sizes % 1).any():
        raise DataError(f"{path}: expected three whole numbers in DimSize, got none")
    if kind not in _TYPES:
        raise DataError(f"{path}: expected an ElementType {', '.join(_TYPES)}, got '{kind}'")
    order = ">" if _is_true(_given(path, fields, _BIG_ENDIAN)) else "<"
    name = fields["ElementDataFile"]
    local = name.upper() == "LOCAL"
    block = Block(
        path if local else world.beside(path, name),
        tuple(int(n) for n in sizes),
        np.dtype(order + _TYPES[kind]),
        "deflate" if _is_true(fields.get("CompressedData")) else "raw",
    )
    return _from_first_voxel(path, fields, block, end if local else 0)


def _from_first_voxel(path: Path, fields: Mapping[str, str], block: Block, end: int) -> Block:
    """The block past the text and the bytes to skip; HeaderSize -1 means 'at the end'."""
    text = fields.get("HeaderSize", "0")
    if text == "-1" and block.packing == "raw":
        return block.at_end(end)
    if not text.isdecimal():
        raise DataError(f"{path}: expected a HeaderSize in bytes, got '{text}'; mend the header")
    return replace(block, start=end + int(text))


@np.errstate(over="ignore", invalid="ignore")
def _placed(path: Path, fields: Mapping[str, str]) -> tuple[np.ndarray | None, tuple[Finding, ...]]:
    """The affine, index to RAS+ mm, and what is odd about it."""
    spacing = _numbers(path, fields, _SPACING if "ElementSpacing" in fields else _SIZE, 3)
    origin = _numbers(path, fields, _POSITION, 3)
    rows = _numbers(path, fields, _ROTATION, 9)
    directions = np.eye(3) if rows is None else rows.reshape(3, 3).T  # one column an index axis
    if not np.allclose(np.linalg.norm(directions, axis=0), 1, atol=_UNIT_TOLERANCE):
        raise DataError(f"{path}: expected unit vectors in TransformMatrix, got others; mend it")
    if spacing is not None and origin is not None:
        return world.to_ras(directions * spacing, origin, world.LPS, path), ()
    missing = ["Offset"] * (origin is None) + ["ElementSpacing"] * (spacing is None)
    finding = Finding("missing_geometry", f"expected {' and '.join(missing)}, got none")
    if spacing is None:
        return None, (finding,)
    return world.checked(np.diag([*spacing, 1.0]), path), (finding,)


def _given(path: Path, fields: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    """The value of a field that has several names; None without any of them."""
    values = {fields[name] for name in names if name in fields}
    if len(values) > 1:
        raise DataError(f"{path}: expected one value for {' or '.join(names)}, got {len(values)}")
    return values.pop() if values else None


def _numbers(
    path: Path, fields: Mapping[str, str], names: tuple[str, ...], count: int
) -> np.ndarray | None:
    text = _given(path, fields, names)
    try:
        found = None if text is None else np.array([float(word) for word in text.split()])
    except ValueError:
        found = np.zeros(0)
    if found is not None and len(found) != count:
        raise DataError(f"{path}: expected {count} numbers in {names[0]}, got '{str(text)[:60]}'")
    return found


def _is_true(text: str | None) -> bool:
    return (text or "").lower() in _TRUE
