"""Which package decodes which compressed transfer syntax: one each, none of them under the GPL.

pydicom would try every decoder that happens to be installed until one accepts the bytes; what a
damaged file gives would then depend on the machine. docs/reference/compressed-dicom.md has the
measurements behind the choice.
"""

from __future__ import annotations

import importlib.util
import struct
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

if TYPE_CHECKING:
    from capsmed.data.dicom.header import Header

_JPEG_8_BIT = "1.2.840.10008.1.2.4.50"
JPEG_12_BIT = "1.2.840.10008.1.2.4.51"
RLE = "1.2.840.10008.1.2.5"
# pydicom's name of the plug-in, the package to install, and the module that it brings
_PILLOW = ("pillow", "pillow", "PIL")
_GDCM = ("gdcm", "python-gdcm", "gdcm")
_OPENJPEG = ("pylibjpeg", "pylibjpeg-openjpeg", "openjpeg")
_OWN = ("", "capsmed", "capsmed")
_DECODERS = {
    _JPEG_8_BIT: _PILLOW,
    JPEG_12_BIT: _GDCM,
    "1.2.840.10008.1.2.4.57": _GDCM,  # JPEG Lossless, process 14
    "1.2.840.10008.1.2.4.70": _GDCM,  # the same, selection value 1
    "1.2.840.10008.1.2.4.80": _GDCM,  # JPEG-LS lossless
    "1.2.840.10008.1.2.4.81": _GDCM,  # JPEG-LS near-lossless
    "1.2.840.10008.1.2.4.90": _OPENJPEG,  # JPEG 2000 lossless
    "1.2.840.10008.1.2.4.91": _OPENJPEG,  # JPEG 2000
    "1.2.840.10008.1.2.4.201": _OPENJPEG,  # HTJ2K lossless
    "1.2.840.10008.1.2.4.202": _OPENJPEG,  # HTJ2K lossless, RPCL
    "1.2.840.10008.1.2.4.203": _OPENJPEG,  # HTJ2K
    RLE: _OWN,
}
PACKAGES = tuple(sorted({package for _, package, _ in _DECODERS.values()} - {"capsmed"}))


def missing(syntax: str) -> str:
    """Why a transfer syntax cannot be decoded, and what to do; '' when it can."""
    if syntax not in _DECODERS:
        return (
            f"its transfer syntax {syntax} is not supported; re-encode it, for example with "
            "dcmtk's dcmconv or dcmdjpeg"
        )
    _, package, module = _DECODERS[syntax]
    if importlib.util.find_spec(module) is None:
        return f"its transfer syntax {syntax} needs a decoder; pip install {package}"
    return ""


def by_gdcm(syntax: str) -> bool:
    """Whether GDCM decodes this syntax."""
    return _DECODERS[syntax] is _GDCM


def decode(data: bytes, header: Header) -> np.ndarray:
    """One frame's bytes as stored words [rows, columns], unused bits as the decoder gives them.

    Raises:
        Exception: of the decoder's own, when the bytes are damaged.
    """
    if header.syntax == RLE:
        return _runs(data, header)
    plugin = _DECODERS[header.syntax][0]
    if header.syntax == JPEG_12_BIT:
        if header.bits_stored > 8:
            return _twelve_bits(data, header)
        plugin = "pillow"
    from pydicom.encaps import encapsulate

    return _by_pydicom(encapsulate([data]), header, 0, 1, plugin)


def plain(file: BinaryIO, header: Header, frame: int) -> np.ndarray:
    """One frame of uncompressed pixels [rows, columns], the file standing at its pixel data."""
    return _by_pydicom(file, header, frame, header.frames, "")


def _by_pydicom(
    source: bytes | BinaryIO, header: Header, frame: int, frames: int, plugin: str
) -> np.ndarray:
    from pydicom.pixels import get_decoder

    decoder: Any = get_decoder(header.syntax)
    values, _ = decoder.as_array(
        source,
        index=frame,
        decoding_plugin=plugin,
        raw=True,
        correct_unused_bits=False,
        rows=header.rows,
        columns=header.columns,
        samples_per_pixel=header.samples,
        photometric_interpretation=header.photometric or "MONOCHROME2",
        pixel_representation=int(header.signed),
        bits_allocated=header.bits_allocated,
        bits_stored=header.bits_stored,
        number_of_frames=frames,
        pixel_keyword="PixelData",
        pixel_vr="OW" if plugin == "" else "OB",
    )
    return np.asarray(values)


def _twelve_bits(data: bytes, header: Header) -> np.ndarray:
    """12-bit JPEG, which GDCM can decode although pydicom's plug-in for it declines.

    GDCM writes 'Unsupported JPEG data precision 12' to the terminal before it takes the decoder
    that supports it.

    Raises:
        ValueError: GDCM refuses the frame.
    """
    import gdcm

    fragment, items = gdcm.Fragment(), gdcm.SequenceOfFragments.New()
    fragment.SetByteStringValue(data)
    items.AddFragment(fragment)
    frame, out = (gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010)) for _ in range(2))
    frame.SetValue(items.__ref__())
    codec = gdcm.JPEGCodec()
    codec.SetNumberOfDimensions(2)
    codec.SetDimensions((header.columns, header.rows, 1))
    codec.SetPlanarConfiguration(0)
    grey = gdcm.PhotometricInterpretation.GetPIType("MONOCHROME2")
    codec.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(grey))
    bits = header.bits_stored
    codec.SetPixelFormat(gdcm.PixelFormat(1, 16, bits, bits - 1, int(header.signed)))
    if not codec.Decode(frame, out):
        raise ValueError("GDCM cannot decode the 12-bit JPEG")
    raw = out.GetByteValue().GetBuffer().encode("utf-8", "surrogateescape")
    if len(raw) != 2 * header.rows * header.columns:
        raise ValueError(f"GDCM gave {len(raw)} bytes")
    return np.frombuffer(raw, "<i2" if header.signed else "<u2").reshape(header.rows, -1)


def _runs(data: bytes, header: Header) -> np.ndarray:
    """RLE, one segment for each byte of a word, the highest first (PS3.5, annex G).

    Stricter than pydicom, which cuts and pads what does not fit: of 1,600 damaged frames it
    accepts 675 as other grey values, this 124.

    Raises:
        ValueError: the table or a run does not fit the declared size.
    """
    planes, pixels = header.bits_allocated // 8, header.rows * header.columns
    count, *starts = struct.unpack("<16L", data[:64].ljust(64, b"\0"))
    starts = starts[:planes]
    if header.samples != 1 or count != planes or starts[0] != 64:
        raise ValueError(f"expected {planes} RLE segments from byte 64 on, got {count}")
    words = np.empty((pixels, planes), np.uint8)
    for plane, (start, stop) in enumerate(zip(starts, [*starts[1:], len(data)], strict=True)):
        words[:, plane] = np.frombuffer(_unpacked(data[start:stop], pixels), np.uint8)
    number = words.view(f">{'i' if header.signed else 'u'}{planes}")
    return number.astype(number.dtype.newbyteorder("=")).reshape(header.rows, header.columns)


def _unpacked(segment: bytes, wanted: int) -> bytearray:
    """The bytes of a segment's runs: so many as they are, or one byte so many times."""
    found, at = bytearray(), 0
    while len(found) < wanted and at + 1 < len(segment):
        head = segment[at]
        if head < 128:
            found += segment[at + 1 : at + 2 + head]
            at += 2 + head
        else:
            if head > 128:
                found += segment[at + 1 : at + 2] * (257 - head)
            at += 2 if head > 128 else 1
    if len(found) != wanted or at > len(segment):
        raise ValueError(f"an RLE segment holds {len(found)} bytes, expected {wanted}")
    return found
