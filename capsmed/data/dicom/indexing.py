"""Which DICOM series lie in a tree of folders; headers only, each read once a process."""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from capsmed.data.dicom.header import Header
from capsmed.data.dicom.parsing import read_header
from capsmed.data.dicom.scan import Folder, Progress, forget, scan
from capsmed.errors import DataError


@dataclass(frozen=True, eq=False)
class Series:
    """The images of one SeriesInstanceUID.

    Attributes:
        uid: SeriesInstanceUID.
        study_uid: StudyInstanceUID of its first file.
        patient_id: PatientID of its first file.
        folder: the innermost folder that holds all its files.
        description: SeriesDescription.
        modality: of its first file.
        headers: one a file, in the order of their names.
        damaged: files beside them that say they are DICOM and cannot be read, and why.
    """

    uid: str
    study_uid: str
    patient_id: str
    folder: Path
    description: str
    modality: str
    headers: tuple[Header, ...] = field(repr=False)
    damaged: tuple[tuple[Path, str], ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """In the order of their names."""
        return tuple(Path(header.path) for header in self.headers)

    @property
    def localizer(self) -> bool:
        """Whether all its images are scout images."""
        return all("LOCALIZER" in header.image_type for header in self.headers)


_LOCK = threading.Lock()
_SERIES: dict[str, tuple[list[Folder], list[Series]]] = {}


def index(folder: Path, progress: Progress | None = None) -> list[Series]:
    """All image series below ``folder``, by patient, study and series UID.

    DICOMDIR, files of other kinds, and DICOM objects without a scan (reports, plans, masks, dose
    grids) are passed over. Links to folders are followed once and never upwards.

    Args:
        folder: the top of the tree.
        progress: called with the files read and the files in all.

    Raises:
        DataError: there is no such folder.
    """
    top = os.path.abspath(folder)
    if not os.path.isdir(top):
        raise DataError(f"{folder}: expected a folder of DICOM files, found none")
    with _LOCK:
        folders = scan(top, progress)
        known = _SERIES.get(top)
        if known is None or known[0] != folders:
            _SERIES[top] = known = (folders, _grouped(folders))
        return list(known[1])


def find(root: Path, series_uid: str) -> Series:
    """The series of a SeriesInstanceUID below ``root``.

    Raises:
        DataError: it is not there.
    """
    for series in index(root):
        if series.uid == series_uid:
            return series
    raise DataError(f"{root}: found no DICOM series {series_uid} below it; check the UID")


def damaged_below(folder: Path) -> list[tuple[Path, str]]:
    """Every file below ``folder`` that says it is DICOM and cannot be read, and why."""
    with _LOCK:
        folders = scan(os.path.abspath(folder), None)
    return [(Path(path), why) for one in folders for path, why in one.damaged]


def unchanged(series: Series) -> bool:
    """Whether its files are as they were when indexed; if not, they are forgotten."""
    for header in series.headers:
        try:
            status = os.stat(header.path)
            same = (status.st_size, status.st_mtime_ns) == (header.size, header.modified)
        except OSError:
            same = False
        if not same:
            with _LOCK:
                forget(os.path.dirname(header.path))
            return False
    return True


def series_of(path: Path) -> Series:
    """The one file as a series.

    Raises:
        DataError: it is no DICOM image, or damaged.
    """
    try:
        header = read_header(os.path.abspath(path))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    if isinstance(header, str):
        raise DataError(f"{path}: {header}")
    if header is None:
        raise DataError(
            f"{path}: expected a DICOM image, got none (DICOMDIR, reports, plans and masks are no "
            "scans); name the folder of the scan"
        )
    return _series([header], {})


def _grouped(folders: Iterable[Folder]) -> list[Series]:
    groups: defaultdict[str, list[Header]] = defaultdict(list)
    damaged: dict[str, list[tuple[str, str]]] = defaultdict(list)
    seen: set[str] = set()
    for folder in folders:
        for header in folder.headers:
            real = os.path.realpath(header.path) if os.path.islink(header.path) else header.path
            if real not in seen:
                seen.add(real)
                groups[header.series_uid].append(header)
        for path, why in folder.damaged:
            damaged[os.path.dirname(path)].append((path, why))
    series = [_series(headers, damaged) for headers in groups.values()]
    return sorted(series, key=lambda one: (one.patient_id, one.study_uid, one.uid))


def _series(headers: list[Header], damaged: dict[str, list[tuple[str, str]]]) -> Series:
    headers = sorted(headers, key=lambda header: header.path)
    first = headers[0]
    folders = sorted({os.path.dirname(header.path) for header in headers})
    beside = [(Path(path), why) for folder in folders for path, why in damaged.get(folder, [])]
    return Series(
        uid=first.series_uid,
        study_uid=first.study_uid,
        patient_id=first.patient_id,
        folder=Path(os.path.commonpath(folders)),
        description=dict(first.texts)["series_description"],
        modality=first.modality,
        headers=tuple(headers),
        damaged=tuple(beside),
    )
