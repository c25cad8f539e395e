"""One folder a class, each holding images; DICOM series are found in any folder below it."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from capsmed.data import readers
from capsmed.data.importers.class_folders import ClassFolder, class_folders, files
from capsmed.data.importers.contract import Imported, Options, Progress
from capsmed.data.importers.writing import class_settings, relative, write_folder
from capsmed.errors import DataError

PICTURES = (".png", ".jpg", ".jpeg")
_VOXELS_OF_A_HEADER = (".raw", ".zraw", ".raw.gz")
_LARGEST_PATCH = 96  # pixels; larger pictures are cut to the configuration's patch
UNKNOWN = "file of a kind that capsmed does not read"
DAMAGED = "DICOM file that cannot be read: its whole folder will be refused"
EMPTY = "empty file"
NO_IMAGE = "class folder without an image"
NO_FIT = "path in which --patient-pattern finds nothing"
EACH_ITS_OWN = (
    "NO PATIENT IS NAMED: each image is taken as a patient of its own, called by its file's name; "
    "if a patient has several images, scores will be inflated: give --patient-pattern"
)
BY_HEADER = "patients of DICOM series are named by the files' own PatientID"


@dataclass(frozen=True)
class Case:
    """One image below a class folder.

    Attributes:
        place: its path below the class folder, with forward slashes.
        image: what the table names: the file, or a series' folder.
        patient_id: '' where only the file's name could tell.
        series_uid: of a DICOM series.
    """

    folder: ClassFolder
    place: str
    image: Path
    patient_id: str = ""
    series_uid: str = ""


def read(source: Path, out: Path, options: Options, progress: Progress | None) -> Imported:
    """Import ``source/CLASS/...``, or ``source/train/CLASS/...`` with ``val`` and ``test``.

    Each image file below a class is a case, and each DICOM series. A case's patient is the first
    group of ``options.patient_pattern`` in the path below the class; without a pattern a DICOM
    series' own PatientID, or the file's name.

    Raises:
        DataError: fewer than two classes, no image, a pattern that is wrong or fits no path, or
            ``out`` is in use.
    """
    pattern = _pattern(options.patient_pattern)
    left_out: Counter[str] = Counter()
    folders = class_folders(source, left_out)
    cases: list[Case] = []
    for number, folder in enumerate(folders, start=1):
        found = _cases(folder, left_out)
        left_out[NO_IMAGE] += not found
        cases += found
        if progress is not None:
            progress(number, len(folders))
    if not cases:
        raise DataError(
            f"{source}: expected images in the class folders, got none; {_counts(left_out)}"
        )
    patients = _patients(cases, pattern, left_out)
    rows = _rows(cases, patients, out)
    config, settings = _beginning(cases, [folder.label for folder in folders])
    return Imported(
        table=write_folder(out, rows),
        rows=len(rows),
        left_out=+left_out,
        notes=_notes(cases, pattern),
        settings=settings,
        config=config,
    )


def _cases(folder: ClassFolder, left_out: Counter[str]) -> list[Case]:
    """The cases of one class, in the order of their paths; what is left out is counted."""
    cases, others = [], []
    for path in files(folder.path, left_out):
        if path.stat().st_size == 0:
            left_out[EMPTY] += 1
        elif _is_image(path):
            cases.append(Case(folder, path.relative_to(folder.path).as_posix(), path))
        elif not path.name.lower().endswith(_VOXELS_OF_A_HEADER):
            others.append(path)
    cases += _series(folder, others, left_out)
    return sorted(cases, key=lambda case: (case.place, case.series_uid))


def _is_image(path: Path) -> bool:
    suffixes = [suffix for suffix in readers.READERS if suffix not in (readers.FOLDER, ".dcm")]
    return path.name.lower().endswith(tuple(suffixes))


def _series(folder: ClassFolder, others: Sequence[Path], left_out: Counter[str]) -> list[Case]:
    """Each DICOM series among the files ``others`` as a case; the other files are counted."""
    if not others:
        return []
    from capsmed.data.dicom import damaged_below, index

    remaining = {path.resolve() for path in others}
    cases = []
    for one in index(folder.path):
        files_of_it = {path.resolve() for path in one.files}
        if files_of_it & remaining:
            place = Path(os.path.relpath(one.folder, folder.path)).as_posix()
            cases.append(Case(folder, place, one.folder, one.patient_id, one.uid))
        remaining -= files_of_it
    damaged = remaining & {path.resolve() for path, _ in damaged_below(folder.path)}
    left_out[DAMAGED] += len(damaged)
    left_out[UNKNOWN] += len(remaining) - len(damaged)
    return cases


def _pattern(text: str | None) -> re.Pattern[str] | None:
    if text is None:
        return None
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise DataError(
            f"--patient-pattern: {text!r} is no regular expression ({error})"
        ) from error
    if pattern.groups < 1:
        raise DataError(
            f"--patient-pattern: expected a group that is the patient, such as '(p[0-9]+)_', "
            f"got {text!r}; put brackets around the part that names the patient"
        )
    return pattern


def _patients(
    cases: list[Case], pattern: re.Pattern[str] | None, left_out: Counter[str]
) -> list[str]:
    """Each case's patient; cases that the pattern does not fit are taken out of ``cases``."""
    if pattern is None:
        return _own_patients(cases)
    found = [match[1] if (match := pattern.search(case.place)) else "" for case in cases]
    fitting = [(case, name) for case, name in zip(cases, found, strict=True) if name]
    if not fitting:
        raise DataError(
            f"--patient-pattern: expected to find {pattern.pattern!r} in paths below the class "
            f"folders, such as {cases[0].place!r}, got none that fits"
        )
    left_out[NO_FIT] += len(cases) - len(fitting)
    cases[:] = [case for case, _ in fitting]
    return [name for _, name in fitting]


def _own_patients(cases: Sequence[Case]) -> list[str]:
    """PatientID where DICOM tells it, else the file's name; the whole path where names repeat."""
    stems = [_stem(case.image) for case in cases]
    unique = len(set(stems)) == len(stems)
    paths = [f"{case.folder.part}/{case.folder.label}/{case.place}".lstrip("/") for case in cases]
    return [
        case.patient_id or (stem if unique else path)
        for case, stem, path in zip(cases, stems, paths, strict=True)
    ]


def _stem(image: Path) -> str:
    """The name without what says its format; UIDs with their dots stay whole."""
    for suffix in sorted(readers.READERS, key=len, reverse=True):
        if image.name.lower().endswith(suffix):
            return image.name[: -len(suffix)]
    return image.name


def _rows(cases: Sequence[Case], patients: Sequence[str], out: Path) -> list[dict[str, object]]:
    """The table; case ids are the class and a number, since file names may name patients."""
    numbers: Counter[str] = Counter()
    rows: list[dict[str, object]] = []
    for case, patient in zip(cases, patients, strict=True):
        label = case.folder.label
        numbers[label] += 1
        row: dict[str, object] = {"case_id": f"{label}-{numbers[label]:05d}", "patient_id": patient}
        row |= {"image": relative(case.image, out), "label": label}
        row |= {"split": case.folder.part} if case.folder.part else {}
        row |= {"series_uid": case.series_uid} if case.series_uid else {}
        rows.append(row)
    return rows


def _notes(cases: Sequence[Case], pattern: re.Pattern[str] | None) -> tuple[str, ...]:
    if pattern is not None:
        return ()
    notes = [BY_HEADER] if any(case.patient_id for case in cases) else []
    notes += [EACH_ITS_OWN] if any(not case.patient_id for case in cases) else []
    return tuple(notes)


def _beginning(cases: Sequence[Case], labels: Sequence[str]) -> tuple[str, dict[str, str]]:
    """A shipped configuration that suits, and what is to be changed in it."""
    if not all(case.image.name.lower().endswith(PICTURES) for case in cases):
        return "lung", class_settings(labels)
    settings = {"data.positive": "null"}
    if not any(case.folder.part for case in cases):
        settings["split.column"] = "null"
    width, height = readers.open_volume(cases[0].image).shape[:2]
    if max(width, height) <= _LARGEST_PATCH:
        settings["patch.size"] = f"[{width}, {height}]"
    return "luna16", settings


def _counts(left_out: Counter[str]) -> str:
    return ", ".join(f"{count} x {reason}" for reason, count in (+left_out).items()) or "all empty"
