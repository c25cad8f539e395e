"""What a look at a cohort found, as tables that the terminal and the page share."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from capsmed.data.survey import Case, Survey
from capsmed.data.table import number as as_number
from capsmed.report.words import number

Row = tuple[str, ...]
#: Groups and case ids named before 'and so many more'.
GROUPS, IDS = 6, 8
ACQUISITION = {
    "format": "format",
    "modality": "modality",
    "manufacturer": "manufacturer",
    "model": "model",
    "kernel": "kernel",
    "kvp": "kVp",
    "slice_thickness": "slice thickness, mm",
    "transfer_syntax": "transfer syntax",
}
LEVELS = {"mend": "to mend", "look": "to look at"}


@dataclass(frozen=True)
class Section:
    """One table: a title, its heads and its rows."""

    title: str
    heads: Row
    rows: tuple[Row, ...]


def sections(survey: Survey) -> list[Section]:
    """All tables that have rows, in the order of reading."""
    found = [
        classes(survey),
        points(survey),
        geometry(survey.cases),
        values(survey.cases),
        acquisition(survey.cases),
        frame(survey),
        findings(survey),
        relations(survey),
    ]
    return [section for section in found if section.rows]


def classes(survey: Survey) -> Section:
    """Cases, patients and diameters of each class, and of labels that are not among them."""
    labels = [*survey.classes, *dict.fromkeys(c.label for c in survey.cases)]
    rows = []
    for label in dict.fromkeys(labels):
        group = [case for case in survey.cases if case.label == label]
        rows.append(_class_row(label or "(empty)", group, survey.patients_known))
    rows.append(_class_row("all", survey.cases, survey.patients_known))
    heads = ("class", "cases", "patients", "bad", "left out", "diameter, mm")
    return Section("Classes", heads, tuple(rows))


def points(survey: Survey) -> Section:
    """Where points and diameters come from, and how many lesions a patient has."""
    cases = survey.cases
    rows = [
        ("point from", counted(case.point_from for case in cases)),
        ("diameter from", counted(_diameter_source(case) for case in cases)),
        ("mask", f"{sum(case.has_mask for case in cases):,} of {len(cases):,} cases"),
    ]
    if survey.patients_known:
        several = Counter(case.patient_id for case in cases if case.patient_id)
        more = [n for n in several.values() if n > 1]
        text = f"{len(more):,} of {len(several):,}" + (f", at most {max(more)}" if more else "")
        rows.append(("patients with several cases", text))
    return Section("Points and diameters", ("", ""), tuple(rows))


def geometry(cases: Sequence[Case]) -> Section:
    """Voxel and matrix sizes: range, and the most frequent."""
    in_mm = [case for case in cases if case.spacing and len(case.shape) == 3]
    shaped = [case for case in cases if case.shape]
    deep = [case.shape[2] for case in shaped if len(case.shape) == 3]
    spacings = counted(" × ".join(f"{mm:.2f}" for mm in case.spacing) for case in in_mm)
    matrices = counted(" × ".join(map(str, case.shape)) for case in shaped)
    rows: list[Row] = []
    if in_mm:
        in_plane = _range([max(case.spacing[:2]) for case in in_mm], 3)
        rows.append(("in-plane spacing, mm", *in_plane, spacings))
        rows.append(("slice step, mm", *_range([case.spacing[2] for case in in_mm], 3), ""))
    if shaped:
        matrix = _range([max(case.shape[:2]) for case in shaped], 0)
        rows.append(("matrix", *matrix, matrices))
    if deep:
        rows.append(("slices", *_range(deep, 0), ""))
    return Section("Geometry", ("", "min", "median", "max", "most frequent"), tuple(rows))


def values(cases: Sequence[Case]) -> Section:
    """Values in the crop box over all cases, and how much of it is beyond the image."""
    boxes = [case.box for case in cases if case.box is not None]
    hu = [case.given.hu for case in cases if case.given and np.isfinite(case.given.hu)]
    rows = []
    if boxes:
        names = ("low", "first", "median", "last", "high")
        titles = ("smallest", "1st percentile", "median", "99th percentile", "largest")
        for name, title in zip(names, titles, strict=True):
            rows.append((f"{title} in the box", *_range([getattr(b, name) for b in boxes], 0)))
        rows.append(("beyond the image, %", *_range([100 * box.padded for box in boxes], 1)))
    if hu:
        rows.insert(0, ("HU at the point", *_range(hu, 0)))
    return Section("Values", ("", "min", "median", "max"), tuple(rows))


def acquisition(cases: Sequence[Case]) -> Section:
    """How many cases each scanner, kernel and voltage has made."""
    rows = []
    for key, title in ACQUISITION.items():
        known = [_readable(key, case.meta[key]) for case in cases if case.meta.get(key)]
        if known:
            missing = sum(bool(case.meta) for case in cases) - len(known)
            text = counted(known) + (f", unknown ({missing:,})" if missing else "")
            rows.append((title, text))
    return Section("Acquisition", ("", "cases"), tuple(rows))


def frame(survey: Survey) -> Section:
    """What lies at the points in each of the two frames."""
    test = survey.frame
    if not test.tested:
        return Section("Frame", (), ())
    rows = []
    for name, evidence, votes in (
        (test.frame, test.given, test.for_given),
        (test.other, test.mirrored, test.for_mirrored),
    ):
        masked = [e.in_mask for e in evidence if e.in_mask is not None]
        as_given = " (as named)" if test.named and name == test.frame else ""
        rows.append(
            (
                name + as_given,
                share(sum(e.inside for e in evidence), test.tested),
                share(sum(e.tissue for e in evidence), test.tested),
                share(sum(e.lung for e in evidence), test.tested),
                share(sum(masked), len(masked)) if masked else "–",
                f"{votes:,}",
            )
        )
    heads = (
        "read as",
        "in the image",
        "denser than lung",
        "lung near",
        "in its mask",
        "fits better",
    )
    return Section("Frame of the points", heads, tuple(rows))


def findings(survey: Survey) -> Section:
    """Each sort of note with its cases, what is to be mended first."""
    by_what: dict[tuple[str, str], list[str]] = defaultdict(list)
    for note in survey.notes:
        by_what[(note.level, note.what)] = []
    for case in survey.cases:
        for kind in dict.fromkeys((note.level, note.what) for note in case.notes):
            by_what[kind].append(case.case_id)
    ordered = sorted(by_what.items(), key=lambda item: (item[0][0] != "mend", -len(item[1])))
    rows = [
        (LEVELS[level], what, f"{len(ids):,}" if ids else "table", listed(ids))
        for (level, what), ids in ordered
    ]
    return Section("Findings", ("", "what", "cases", "which"), tuple(rows))


def relations(survey: Survey) -> Section:
    """What several cases share, at most some of each sort."""
    rows = []
    kinds = Counter((r.level, r.what) for r in survey.relations)
    for (level, what), count in sorted(kinds.items(), key=lambda item: item[0][0] != "mend"):
        same = [r for r in survey.relations if (r.level, r.what) == (level, what)]
        for relation in same[:GROUPS]:
            rows.append((LEVELS[level], what, relation.detail or "–", listed(relation.cases)))
        if count > GROUPS:
            rows.append((LEVELS[level], what, "–", f"and {count - GROUPS:,} more such groups"))
    return Section("Between cases", ("", "what", "", "cases"), tuple(rows))


def counted(texts: Iterable[str]) -> str:
    """'0.70 × 0.70 × 1.25 (12), ...', the most frequent first.

    >>> counted(["a", "b", "a"])
    'a (2), b (1)'
    """
    counts = Counter(texts).most_common()
    shown = ", ".join(f"{text} ({count:,})" for text, count in counts[:GROUPS])
    more = len(counts) - GROUPS
    return shown + (f", and {more:,} more" if more > 0 else "")


def listed(ids: Sequence[str]) -> str:
    """Case ids, at most some of them."""
    more = len(ids) - IDS
    return ", ".join(ids[:IDS]) + (f" and {more:,} more" if more > 0 else "")


def share(count: int, total: int) -> str:
    """'40 of 54'."""
    return f"{count:,} of {total:,}"


def _readable(key: str, text: str) -> str:
    value = as_number(text) if key in ("kvp", "slice_thickness") else None
    if value is not None:
        return f"{value:g}"
    if key != "transfer_syntax":
        return text
    from pydicom.uid import UID

    return str(UID(text).name)


def _class_row(name: str, group: Sequence[Case], patients_known: bool) -> Row:
    diameters = [case.diameter_mm for case in group if np.isfinite(case.diameter_mm)]
    low, median, high = _range(diameters, 1)
    patients = {case.patient_id for case in group if case.patient_id}
    return (
        name,
        f"{len(group):,}",
        f"{len(patients):,}" if patients_known else "unknown",
        f"{sum(case.bad for case in group):,}",
        f"{sum(bool(case.left_out) for case in group):,}",
        f"{low} to {high}, median {median}" if len(diameters) > 1 else low,
    )


def _diameter_source(case: Case) -> str:
    if not np.isfinite(case.diameter_mm):
        return "none"
    return case.diameter_from or "column"


def _range(found: Sequence[float], digits: int) -> tuple[str, str, str]:
    finite = [float(value) for value in found if np.isfinite(value)]
    if not finite:
        return ("–", "–", "–")
    pick: list[Callable[[list[float]], float]] = [min, lambda v: float(np.median(v)), max]
    low, median, high = (number(choose(finite), digits) for choose in pick)
    return low, median, high
