"""Reading the header of one file, its pixels left where they are."""

from __future__ import annotations

import functools
import os
import struct
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capsmed.data.dicom.header import CT, ENHANCED_CT, Header, PixelElement
from capsmed.data.dicom.reading import QUIET, Damaged, DataSet, File, data_set, opened
from capsmed.data.dicom.soundness import problem
from capsmed.data.dicom.values import number, numbers, text, whole, word

if TYPE_CHECKING:
    from pydicom import Dataset

TEXTS = {
    "study_date": "StudyDate",
    "series_description": "SeriesDescription",
    "manufacturer": "Manufacturer",
    "model": "ManufacturerModelName",
    "kernel": "ConvolutionKernel",
    "kvp": "KVP",
}
_KEYWORDS = """ImageType SOPClassUID SOPInstanceUID Modality PatientID SliceThickness
StudyInstanceUID SeriesInstanceUID InstanceNumber ImagePositionPatient ImageOrientationPatient
FrameOfReferenceUID SamplesPerPixel PhotometricInterpretation NumberOfFrames Rows Columns
PixelSpacing BitsAllocated BitsStored PixelRepresentation PixelPaddingValue RescaleIntercept
RescaleSlope RescaleType LossyImageCompression ModalityLUTSequence ExtendedOffsetTable
ExtendedOffsetTableLengths""".split()
_OVERLAYS = range(0x60000102, 0x60200102, 0x20000)  # OverlayBitPosition of each of 16
_PARSING = threading.Lock()  # threads share the waiting for a disk; parsing at once is slower
_DICOMDIR = "1.2.840.10008.1.3.10"
_NO_SCANS = {"SEG", "RTDOSE", "RTSTRUCT", "RTPLAN", "PR", "KO", "SR", "REG", "AU", "DOC"}


def read_header(path: Path | str) -> Header | str | None:
    """The header of a file, see `parse_header`.

    Raises:
        OSError: the file cannot be opened or read.
    """
    return parse_header(opened(path))


def parse_header(file: File) -> Header | str | None:
    """The header of a file; why not, in words, of a damaged one; None of what is no image.

    Files without the 128-byte preamble are taken as DICOM when they begin as a data set does.
    DICOMDIR, reports, plans, masks and dose grids are no images here.

    Args:
        file: at its beginning; it is closed.

    Raises:
        OSError: the file cannot be read.
    """
    path = str(file.name)
    with file:
        start = file.read(132)
        file.seek(0)
        if not start:
            return "the file is empty" if _claims(path) else None
        if not looks_like_dicom(start):
            return _junk(start) if _claims(path) else None
        try:
            return _read(path, file)
        except Exception as error:  # pydicom raises many kinds over damaged bytes
            if isinstance(error, OSError) and error.errno is not None:
                raise
            why = str(error) if isinstance(error, Damaged) else "its header is broken"
            return why if _claims(path) or start[128:] == b"DICM" else None


def looks_like_dicom(start: bytes) -> bool:
    """Whether a file's first 132 bytes are those of DICOM, with or without its preamble."""
    return start[128:132] == b"DICM" or _begins_a_data_set(start)


def _claims(path: Path | str) -> bool:
    return str(path).lower().endswith((".dcm", ".dicom", ".ima"))


def _begins_a_data_set(start: bytes) -> bool:
    """Whether the first element is one that a data set may begin with."""
    if len(start) < 8:
        return False
    for order in ("<", ">"):
        group, element = struct.unpack(f"{order}HH", start[:4])
        plausible = start[4:6].isupper() or b"\0\0" in (start[4:6], start[6:8])
        if group in (2, 8) and element in (0, 1, 2, 5, 8, 16, 18) and plausible:
            return True
    return False


def _junk(start: bytes) -> str:
    if start.startswith(b"PK\x03\x04"):
        return "it is a zip archive, not a DICOM file; unpack it"
    return "it is no DICOM file, whatever its name says"


@functools.cache
def image_tags() -> tuple[int, ...]:
    """The elements that a header is made of."""
    from pydicom.datadict import tag_for_keyword

    tags = (tag_for_keyword(keyword) for keyword in (*_KEYWORDS, *TEXTS.values()))
    return *(tag for tag in tags if tag is not None), *_OVERLAYS


def _read(path: str, file: File) -> Header | str | None:
    with _PARSING, QUIET:
        found = data_set(file, image_tags())
        answer = None if found.media == _DICOMDIR else _image(path, file, found)
    return problem(answer, found.file) or answer if isinstance(answer, Header) else answer


def _image(path: str, file: File, found: DataSet) -> Header | str | None:
    data = found.elements
    if not text(data, "SeriesInstanceUID"):
        raise Damaged("its header is cut off or names no SeriesInstanceUID")
    if text(data, "Modality") in _NO_SCANS:
        return None
    if found.pixels is None:
        image = whole(data, "Rows") or _modality(data) == "CT"
        return "it has no pixel data (cut off?)" if image else None
    return header_of(path, os.fstat(file.fileno()), found, found.pixels)


def header_of(path: str, status: os.stat_result, found: DataSet, pixels: PixelElement) -> Header:
    """The header of a data set that was parsed for its `image_tags`."""
    data = found.elements
    signed = whole(data, "PixelRepresentation") == 1
    allocated = whole(data, "BitsAllocated") or 0
    return Header(
        path=path,
        size=status.st_size,
        modified=status.st_mtime_ns,
        syntax=found.syntax,
        start=found.start,
        pixels=pixels,
        frame_table=_frame_table(data),
        sop_class=text(data, "SOPClassUID"),
        sop_uid=text(data, "SOPInstanceUID"),
        series_uid=text(data, "SeriesInstanceUID"),
        study_uid=text(data, "StudyInstanceUID"),
        patient_id=text(data, "PatientID"),
        modality=_modality(data),
        frame_of_reference=text(data, "FrameOfReferenceUID"),
        image_type=_shared(tuple(part.strip() for part in text(data, "ImageType").split("\\"))),
        instance_number=whole(data, "InstanceNumber"),
        frames=whole(data, "NumberOfFrames") or 1,
        rows=whole(data, "Rows") or 0,
        columns=whole(data, "Columns") or 0,
        samples=whole(data, "SamplesPerPixel") or 1,
        photometric=text(data, "PhotometricInterpretation"),
        bits_allocated=allocated,
        bits_stored=whole(data, "BitsStored") or allocated,
        signed=signed,
        padding=word(data, "PixelPaddingValue", signed),
        overlay=any(tag in data and data[tag].value for tag in _OVERLAYS),
        position=numbers(data, "ImagePositionPatient", 3),
        orientation=_shared(numbers(data, "ImageOrientationPatient", 6)),
        spacing=_shared(numbers(data, "PixelSpacing", 2)),
        thickness=number(data, "SliceThickness"),
        slope=number(data, "RescaleSlope"),
        intercept=number(data, "RescaleIntercept"),
        rescale_type=text(data, "RescaleType"),
        modality_lut="ModalityLUTSequence" in data,
        lossy=text(data, "LossyImageCompression") == "01",
        texts=_shared(tuple((name, text(data, keyword)) for name, keyword in TEXTS.items())),
    )


def _frame_table(data: Dataset) -> tuple[bytes, bytes] | None:
    offsets, lengths = data.get("ExtendedOffsetTable"), data.get("ExtendedOffsetTableLengths")
    return (offsets, lengths) if isinstance(offsets, bytes) and isinstance(lengths, bytes) else None


@functools.lru_cache(maxsize=4096)
def _shared(value: Any) -> Any:
    """One object for all equal ones: an archive has hundreds of thousands of headers."""
    return value


def _modality(data: Dataset) -> str:
    kind = text(data, "SOPClassUID")
    return text(data, "Modality") or ("CT" if kind in (CT, *ENHANCED_CT) else "")
