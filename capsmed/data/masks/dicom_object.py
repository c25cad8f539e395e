"""DICOM objects that hold outlines or segments, and the scan that they were drawn on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from capsmed.data.dicom.header import DEFLATED
from capsmed.data.dicom.reading import QUIET, DataSet, File, data_set, file_meta, opened
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


def parsed(file: File, wanted: Iterable[int]) -> DataSet:
    """A SEG or RTSTRUCT up to its pixels.

    Args:
        file: at its beginning.
        wanted: tags of the elements to keep, see `tags`.

    Raises:
        DataError: it is deflated: a small file could become gigabytes of sequences.
        Exception: of many kinds, when it cannot be parsed.
    """
    if file_meta(file)[1] == DEFLATED:
        raise DataError(
            "expected a mask that is not deflated; rewrite it, for example with dcmtk's dcmconv +te"
        )
    file.seek(0)
    return data_set(file, wanted)


def tags(*keywords: str) -> tuple[int, ...]:
    """The numbers of DICOM elements."""
    from pydicom.datadict import tag_for_keyword

    return tuple(tag for keyword in keywords if (tag := tag_for_keyword(keyword)) is not None)


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
    try:
        with QUIET, opened(path) as file:
            found, syntax = file_meta(file)
            if not found and syntax != DEFLATED:
                file.seek(0)
                found = str(data_set(file, tags("SOPClassUID")).elements.get("SOPClassUID", ""))
    except Exception as error:  # a damaged header fails in many ways
        raise DataError(f"{path.name}: cannot be read as DICOM (damaged?)") from error
    return found if found in (SEG, LABEL_MAP_SEG, RTSTRUCT) else ""


def _may_be_dicom(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(132)[128:] == b"DICM"


def _frame_of(scan: Volume) -> str:
    """FrameOfReferenceUID of a DICOM scan, from the header of its first file."""
    if not scan.files:
        return ""
    with QUIET, opened(scan.files[0]) as file:
        header = data_set(file, tags("FrameOfReferenceUID")).elements
        return str(header.get("FrameOfReferenceUID", "") or "")
