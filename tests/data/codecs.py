"""Encoders of every compressed DICOM syntax that a package can write: the decoders' truth."""

import importlib.util
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pydicom
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

Write = Callable[[Path, Path], None]


@dataclass(frozen=True)
class Codec:
    """One encoder of one transfer syntax.

    Attributes:
        encoder: the program or package that writes, as docs/reference/compressed-dicom.md has it.
        write: writes the slice of one path to another path.
        max_error: largest difference in HU after decoding; 0 is lossless.
        needs: an importable module, or a program on the path.
        bits: 8 where the syntax holds 8 bits only; the slice is rescaled before.
    """

    syntax: uid.UID
    encoder: str
    write: Write
    needs: str = "pydicom"
    max_error: int = 0
    bits: int = 16

    def __str__(self) -> str:
        return f"{self.syntax.keyword} by {self.encoder}"

    @property
    def missing(self) -> str:
        """Why this machine cannot encode; '' when it can."""
        if shutil.which(self.needs) or importlib.util.find_spec(self.needs):
            return ""
        return f"the encoder {self.encoder} is not installed here"


def grey(path: Path) -> Dataset:
    """A copy of a slice in 8 bits, 1024 HU wide, with the rescale that undoes it."""
    ds = pydicom.dcmread(path)
    hu = ds.pixel_array.astype(np.float64) * ds.RescaleSlope + ds.RescaleIntercept
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit, ds.PixelRepresentation = 7, 0
    ds.RescaleSlope, ds.RescaleIntercept = 4, -1024
    for tag in ("SmallestImagePixelValue", "LargestImagePixelValue"):
        ds.pop(tag, None)
    ds.PixelData = np.clip((hu + 1024) / 4, 0, 255).astype(np.uint8).tobytes()
    ds["PixelData"].VR = "OB"
    return ds


def signed(path: Path) -> Dataset:
    """A copy of a slice as signed CT numbers with -2000 outside the field of view (GE's way)."""
    ds = pydicom.dcmread(path)
    hu = ds.pixel_array.astype(np.int16) - np.int16(1024)
    hu[:, :20] = -2000
    ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 15, 1
    ds.RescaleSlope, ds.RescaleIntercept = 1, 0
    for tag in ("SmallestImagePixelValue", "LargestImagePixelValue"):
        ds.pop(tag, None)
    ds.PixelData = hu.tobytes()
    return ds


def _plain(source: Path, target: Path, syntax: uid.UID) -> None:
    ds = pydicom.dcmread(source)
    if syntax == uid.ExplicitVRBigEndian:
        pixels = np.frombuffer(ds.PixelData, "<u2").astype(">u2")
        ds.PixelData = pixels.tobytes()
    ds.file_meta.TransferSyntaxUID = syntax
    little, implicit = syntax != uid.ExplicitVRBigEndian, syntax == uid.ImplicitVRLittleEndian
    pydicom.dcmwrite(target, ds, little_endian=little, implicit_vr=implicit)


def _pydicom(source: Path, target: Path, syntax: uid.UID, plugin: str, **options: object) -> None:
    ds = pydicom.dcmread(source)
    ds.compress(syntax, encoding_plugin=plugin, generate_instance_uid=False, **options)
    ds.save_as(target)


def _frame(
    source: Path, target: Path, syntax: uid.UID, encode: Callable[[np.ndarray], bytes]
) -> None:
    ds = pydicom.dcmread(source)
    stored = np.ascontiguousarray(ds.pixel_array)
    stored = stored.view(f"u{stored.itemsize}")  # signed numbers go in as their bits
    ds.PixelData = encapsulate([encode(stored)])
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    ds.file_meta.TransferSyntaxUID = syntax
    ds.save_as(target)


def _imagecodecs(source: Path, target: Path, syntax: uid.UID, name: str, **options: object) -> None:
    import imagecodecs

    encode = partial(getattr(imagecodecs, f"{name}_encode"), **options)
    _frame(source, target, syntax, encode)


def _pillow(source: Path, target: Path, syntax: uid.UID) -> None:
    from io import BytesIO

    from PIL import Image

    def encode(stored: np.ndarray) -> bytes:
        stream = BytesIO()
        Image.fromarray(stored).save(stream, "JPEG", quality=95)
        return stream.getvalue()

    _frame(source, target, syntax, encode)


def _gdcm(source: Path, target: Path, syntax: uid.UID, kind: str) -> None:
    import gdcm

    reader = gdcm.ImageReader()
    reader.SetFileName(str(source))
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, kind)))
    assert reader.Read()
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(target))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()


def _dcmtk(source: Path, target: Path, program: str, options: tuple[str, ...]) -> None:
    subprocess.run([program, *options, str(source), str(target)], check=True, capture_output=True)


def _by_pydicom(syntax: uid.UID, encoder: str, plugin: str, needs: str, **options: object) -> Codec:
    error = options.pop("max_error", 0)
    return Codec(
        syntax, encoder, partial(_pydicom, syntax=syntax, plugin=plugin, **options), needs, error
    )


def _by_imagecodecs(
    syntax: uid.UID, name: str, library: str, max_error: int = 0, **options: object
) -> Codec:
    write = partial(_imagecodecs, syntax=syntax, name=name, **options)
    return Codec(syntax, f"imagecodecs ({library})", write, "imagecodecs", max_error)


def _by_dcmtk(
    syntax: uid.UID, program: str, *options: str, max_error: int = 0, bits: int = 16
) -> Codec:
    """An encoder of Debian's package dcmtk."""
    write = partial(_dcmtk, program=program, options=options)
    name = " ".join((program, *options))
    return Codec(syntax, name, write, program, max_error, bits)


def _by_gdcm(syntax: uid.UID, kind: str) -> Codec:
    return Codec(syntax, "python-gdcm", partial(_gdcm, syntax=syntax, kind=kind), "gdcm")


CODECS = (
    *(
        Codec(syntax, "pydicom", partial(_plain, syntax=syntax))
        for syntax in (
            uid.ImplicitVRLittleEndian,
            uid.ExplicitVRLittleEndian,
            uid.DeflatedExplicitVRLittleEndian,
            uid.ExplicitVRBigEndian,
        )
    ),
    _by_pydicom(uid.RLELossless, "pydicom", "pydicom", "pydicom"),
    _by_pydicom(uid.RLELossless, "pylibjpeg-rle", "pylibjpeg", "rle"),
    _by_gdcm(uid.RLELossless, "RLELossless"),
    _by_dcmtk(uid.RLELossless, "dcmcrle"),
    _by_gdcm(uid.JPEGLosslessSV1, "JPEGLosslessProcess14_1"),
    _by_dcmtk(uid.JPEGLosslessSV1, "dcmcjpeg", "+e1"),
    *(_by_dcmtk(uid.JPEGLossless, "dcmcjpeg", "+el", "+sv", str(n)) for n in range(1, 8)),
    _by_imagecodecs(
        uid.JPEGLosslessSV1, "jpeg8", "libjpeg-turbo", lossless=True, predictor=1, bitspersample=16
    ),
    _by_imagecodecs(
        uid.JPEGLossless, "jpeg8", "libjpeg-turbo", lossless=True, predictor=7, bitspersample=16
    ),
    _by_imagecodecs(uid.JPEGLosslessSV1, "ljpeg", "liblj92", bitspersample=16),
    _by_pydicom(uid.JPEGLSLossless, "pyjpegls", "pyjpegls", "jpeg_ls"),
    _by_gdcm(uid.JPEGLSLossless, "JPEGLSLossless"),
    _by_dcmtk(uid.JPEGLSLossless, "dcmcjpls"),
    _by_imagecodecs(uid.JPEGLSLossless, "jpegls", "CharLS"),
    _by_pydicom(uid.JPEG2000Lossless, "pylibjpeg-openjpeg", "pylibjpeg", "openjpeg"),
    _by_gdcm(uid.JPEG2000Lossless, "JPEG2000Lossless"),
    _by_imagecodecs(uid.JPEG2000Lossless, "jpeg2k", "OpenJPEG", reversible=True, codecformat="j2k"),
    _by_imagecodecs(uid.HTJ2KLossless, "htj2k", "OpenJPH", reversible=True),
    _by_imagecodecs(uid.HTJ2KLosslessRPCL, "htj2k", "OpenJPH", reversible=True, tlm=True),
    _by_dcmtk(uid.JPEGBaseline8Bit, "dcmcjpeg", "+eb", max_error=80, bits=8),
    Codec(
        uid.JPEGBaseline8Bit,
        "Pillow",
        partial(_pillow, syntax=uid.JPEGBaseline8Bit),
        "PIL",
        max_error=40,
        bits=8,
    ),
    _by_dcmtk(uid.JPEGExtended12Bit, "dcmcjpeg", "+ee", max_error=20),
    _by_imagecodecs(
        uid.JPEGExtended12Bit, "jpeg8", "libjpeg-turbo", max_error=12, level=95, bitspersample=12
    ),
    _by_pydicom(
        uid.JPEGLSNearLossless, "pyjpegls", "pyjpegls", "jpeg_ls", jls_error=2, max_error=2
    ),
    _by_dcmtk(uid.JPEGLSNearLossless, "dcmcjpls", "+en", "+md", "2", max_error=2),
    _by_pydicom(
        uid.JPEG2000, "pylibjpeg-openjpeg", "pylibjpeg", "openjpeg", j2k_cr=[10], max_error=40
    ),
    _by_imagecodecs(uid.HTJ2K, "htj2k", "OpenJPH", max_error=4, reversible=False),
)
