"""DICOM objects that hold outlines or segments, and the scan that they were drawn on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from capsmed.data.volume import Volume
from capsmed.errors import DataError

SEG = "1.2.840.10008.5.1.4.1.1.66.4"
LABEL_MAP_SEG = "1.2.840.10008.5.1.4.1.1.66.7"
RTSTRUCT = "1.2.840.10008.5.1.4.1.1.481.3"


def find(path: Path) -> tuple[Path, str] | None:
    """The one SEG or RTSTRUCT file that ``path`` is, or holds as a folder, with its SOP class.

    None for everything else: an image, a folder of slices.

    Raises:
        DataError: several of them are in the folder.
    """
    if path.is_file():
        kind = _kind(path)
        return (path, kind) if kind else None
    found = [(file, kind) for file in sorted(path.iterdir()) if (kind := _kind(file))]
    if len(found) > 1:
        raise DataError(f"expected one SEG or RTSTRUCT in it, got {len(found)}; name a file")
    return found[0] if found else None


def check_drawn_on(mask: Any, scan: Volume | None, series: set[str], frames: set[str]) -> None:
    """Refuse outlines of another series or another frame of reference than the scan's.

    Args:
        mask: what they are called in the message.
        scan: the row's image; one that is not DICOM names no series, so nothing is checked.
        series: SeriesInstanceUIDs that the object names; empty when it names none.
        frames: FrameOfReferenceUIDs that it names.

    Raises:
        DataError: neither agrees with the scan.
    """
    own = scan.meta.get("series_uid", "") if scan is not None else ""
    if scan is None or not own:
        return
    if series and own not in series:
        raise DataError(f"the {mask} was drawn on another series than the row's image")
    frame = _frame_of(scan)
    if frame and frames and frame not in frames:
        raise DataError(f"the {mask} lies in another frame of reference than the row's image")


def items(dataset: Any, *keywords: str) -> Iterator[Any]:
    """The items of a sequence in a sequence ...; none where one is missing or empty."""
    if not keywords:
        yield dataset
        return
    for item in dataset.get(keywords[0]) or ():
        yield from items(item, *keywords[1:])


def _kind(path: Path) -> str:
    """SOP class of a SEG or RTSTRUCT file; '' for any other file."""
    if not path.is_file() or not _may_be_dicom(path):
        return ""
    import pydicom

    try:
        header = pydicom.dcmread(path, specific_tags=["SOPClassUID"], stop_before_pixels=True)
    except Exception as error:  # a damaged header fails in many ways
        raise DataError(f"{path.name}: cannot be read as DICOM (damaged?)") from error
    found = str(header.get("SOPClassUID", ""))
    return found if found in (SEG, LABEL_MAP_SEG, RTSTRUCT) else ""


def _may_be_dicom(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(132)[128:] == b"DICM"


def _frame_of(scan: Volume) -> str:
    """FrameOfReferenceUID of a DICOM scan, from the header of its first file."""
    import pydicom

    if not scan.files:
        return ""
    header = pydicom.dcmread(
        scan.files[0], specific_tags=["FrameOfReferenceUID"], stop_before_pixels=True
    )
    return str(header.get("FrameOfReferenceUID", "") or "")
