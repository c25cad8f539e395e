"""The corpus of bad inputs: compressed DICOM."""

import struct

import numpy as np
import pydicom
from pydicom import uid
from pydicom.encaps import encapsulate

from tests.data.corpus import AFFINE, HU, entry
from tests.data.scan_writers import ct_slice


def compressed(folder, syntax, frame, **tags):
    ds = ct_slice(HU, AFFINE, 0)
    ds.file_meta.TransferSyntaxUID = syntax
    ds.PixelData = encapsulate([frame])
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    for keyword, value in tags.items():
        setattr(ds, keyword, value)
    pydicom.dcmwrite(folder / "one.dcm", ds, enforce_file_format=True)
    return folder / "one.dcm"


@entry("huge matrix declared in a compressed file", "refused", "cannot come from .* compressed")
def huge_compressed(folder):
    size = struct.pack(">HHH8LH", 0xFF51, 41, 0, 65535, 65535, 0, 0, 65535, 65535, 0, 0, 1)
    frame = b"\xff\x4f" + size + b"\x0f\x01\x01\xff\xd9"
    return compressed(folder, uid.JPEG2000Lossless, frame, Rows=65535, Columns=65535)


@entry("compressed stream larger than its header says", "refused", "expected 11 rows .* got 60000")
def lying_stream(folder):
    head = struct.pack(">HHBHHB", 0xFFC3, 11, 16, 60000, 60000, 1) + b"\x01\x11\x00"
    tail = b"\xff\xda\x00\x08\x01\x01\x00\x01\x00\x00" + bytes(50) + b"\xff\xd9"
    return compressed(folder, uid.JPEGLosslessSV1, b"\xff\xd8" + head + tail)


@entry("compressed stream that is noise", "refused", "compressed pixels cannot be decoded")
def noise_stream(folder):
    noise = np.random.default_rng(3).bytes(500)
    return compressed(folder, uid.JPEG2000Lossless, noise)


@entry("unknown transfer syntax", "refused", r"1\.2\.840\.10008\.1\.2\.4\.100 is not supported")
def unknown_syntax(folder):
    return compressed(folder, uid.UID("1.2.840.10008.1.2.4.100"), b"\0\0\1\xb3")


@entry("RLE stream cut off", "refused", "RLE segment")
def rle_cut(folder):
    return compressed(
        folder, uid.RLELossless, struct.pack("<16L", 2, 64, 70, *[0] * 13) + b"\1" * 9
    )
