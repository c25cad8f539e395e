"""What several cases share: pixels, a lesion, or a patient who stands in two parts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from capsmed.data.survey.case import Case, Level

#: Columns that name the parts of a given split.
SPLITS = ("split", "fold")
#: Points of one image closer than this (mm; pixels of a picture) are one lesion; of large ones
#: those closer than half the smaller diameter.
NEAR = 3.0


@dataclass(frozen=True)
class Relation:
    """One thing that several cases share.

    Attributes:
        level: 'mend' before training, or 'look' whether it is meant.
        what: in few words, to be counted.
        cases: their case ids.
        detail: free of paths and patient ids; '' when ``what`` says all.
    """

    level: Level
    what: str
    cases: tuple[str, ...]
    detail: str = ""


def relations(cases: Sequence[Case]) -> tuple[Relation, ...]:
    """Everything that is to be said of more than one case at once."""
    return (*leaks(cases), *same_lesion(cases), *copies(cases), *patients(cases), *visits(cases))


def leaks(cases: Sequence[Case]) -> list[Relation]:
    """Patients whose cases stand in two parts of the columns 'split' or 'fold'."""
    found = []
    for column in SPLITS:
        parts = _grouped((c for c in cases if c.patient_id), lambda case: case.patient_id)
        for group in parts:
            values = sorted({case.cells.get(column, "") for case in group})
            if len(values) > 1:
                detail = f"{column} {', '.join(values)}"
                what = f"one patient in several parts of the column '{column}'"
                found.append(Relation("mend", what, _ids(group), detail))
    return found


def same_lesion(cases: Sequence[Case]) -> list[Relation]:
    """Rows of one image whose points are closer than 3 mm or half the smaller diameter."""
    found = []
    read = [case for case in cases if case.point is not None]
    for group in _grouped(read, _image_of):
        for first, second in _near(group):
            ids, detail = _ids((first, second)), f"{first.label}, {second.label}"
            if first.label != second.label:
                found.append(Relation("mend", "one lesion under two labels", ids, detail))
            elif first.image == second.image:  # else they are `copies`
                found.append(Relation("look", "one lesion in two rows", ids))
    return found


def copies(cases: Sequence[Case]) -> list[Relation]:
    """Images, or boxes around points, that are the same to the last pixel in several rows."""
    found: list[Relation] = []
    told: set[frozenset[str]] = set()
    named = [case for case in cases if case.image_digest]
    for group in _grouped(named, lambda case: case.image_digest):
        if len({case.image for case in group}) > 1 or _patients_differ(group):
            found.append(_copy("image", group))
            told.add(frozenset(_ids(group)))
    boxed = [case for case in cases if case.box is not None and case.box.digest]
    for group in _grouped(boxed, lambda case: case.box.digest if case.box else ""):
        apart = any(not _one_place(a, b) or _image_of(a) != _image_of(b) for a, b in _pairs(group))
        if apart and not any(set(_ids(group)) <= seen for seen in told):
            found.append(_copy("box", group))
    return found


def patients(cases: Sequence[Case]) -> list[Relation]:
    """Where the files' own patient ids group cases otherwise than the table does."""
    known = [case for case in cases if case.patient_id and case.meta.get("patient_id")]
    if len({case.meta["patient_id"] for case in known}) < 2:
        return []  # anonymised alike, or one patient
    found = []
    for group in _grouped(known, lambda case: case.meta["patient_id"]):
        if _patients_differ(group):
            what = "one patient in the files, several in the table"
            found.append(Relation("mend", what, _ids(group)))
    for group in _grouped(known, lambda case: case.patient_id):
        if len({case.meta["patient_id"] for case in group}) > 1:
            what = "several patients in the files, one in the table"
            found.append(Relation("look", what, _ids(group)))
    return found


def visits(cases: Sequence[Case]) -> list[Relation]:
    """Patients who were scanned on several days."""
    found = []
    for group in _grouped((c for c in cases if c.patient_id), lambda case: case.patient_id):
        dates = {case.meta.get("study_date", "") for case in group} - {""}
        if len(dates) > 1:
            text = f"{len(dates)} dates"
            found.append(Relation("look", "one patient, several study dates", _ids(group), text))
    return found


def _copy(what: str, group: Sequence[Case]) -> Relation:
    kind = {"image": "identical images", "box": "identical pixels around the point"}[what]
    if len({case.image for case in group}) == 1:
        kind = "one image"
    parts = {tuple(case.cells.get(column, "") for column in SPLITS) for case in group}
    across = ", in different parts of the split" if len(parts) > 1 else ""
    if _patients_differ(group):
        return Relation("mend", f"{kind} of several patients", _ids(group), across.lstrip(", "))
    return Relation("look", f"{kind} in several rows", _ids(group), across.lstrip(", "))


def _patients_differ(group: Iterable[Case]) -> bool:
    return len({case.patient_id for case in group if case.patient_id}) > 1


def _image_of(case: Case) -> str:
    """What is one image: one series, one digest, or one cell of the table."""
    return case.meta.get("series_uid") or case.image_digest or case.image


def _one_place(first: Case, second: Case) -> bool:
    if first.point is None or second.point is None or _image_of(first) != _image_of(second):
        return False
    diameters = [d for d in (first.diameter_mm, second.diameter_mm) if np.isfinite(d)]
    near = max(NEAR, min(diameters) / 2) if len(diameters) == 2 else NEAR
    return bool(np.linalg.norm(first.point - second.point) < near)


def _near(group: Sequence[Case]) -> list[tuple[Case, Case]]:
    """The pairs of one place among cases of one image, in the order of the table."""
    sizes = sorted(case.diameter_mm for case in group if np.isfinite(case.diameter_mm))
    reach = max(NEAR, sizes[-2] / 2) if len(sizes) > 1 else NEAR  # the furthest that any pair may
    tree = cKDTree(np.array([case.point for case in group]))
    pairs = [(group[i], group[j]) for i, j in sorted(tree.query_pairs(reach))]
    return [pair for pair in pairs if _one_place(*pair)]


def _pairs(group: Sequence[Case]) -> Iterable[tuple[Case, Case]]:
    """Each case with the first: enough to see whether a group is one place."""
    return ((group[0], other) for other in group[1:])


def _grouped(cases: Iterable[Case], key: Callable[[Case], str]) -> list[list[Case]]:
    """Groups of two and more, in the order of the table."""
    groups: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        groups[key(case)].append(case)
    return [group for group in groups.values() if len(group) > 1]


def _ids(group: Iterable[Case]) -> tuple[str, ...]:
    return tuple(case.case_id for case in group)
