"""check.html: every case of a cohort on one page, and check.csv with what was measured."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from capsmed import atomic
from capsmed.data.survey import Case, Survey
from capsmed.errors import DataError
from capsmed.report import survey_words as words
from capsmed.report.html import inline
from capsmed.report.survey_pictures import Album
from capsmed.report.survey_plots import histograms
from capsmed.report.survey_tables import LEVELS, listed, sections
from capsmed.report.words import RESEARCH_USE, number

PAGE, VALUES = "check.html", "check.csv"
LEGEND = (
    "Cuts through the point in the lung window (−1350 to 150 HU; other images as bright as they "
    "span): axial seen from the feet, patient's right on the left (R); coronal from the front; "
    "sagittal with the front (A) on the left. Striped: beyond the image."
)
FLAT_LEGEND = "Pictures as they are stored, brightness as far as they span."
COLUMNS = (
    "case_id",
    "label",
    "status",
    "notes",
    "diameter_mm",
    "point_from",
    "x_ras",
    "y_ras",
    "z_ras",
    "shape",
    "spacing_mm",
    "hu_at_point",
    "box_min",
    "box_p1",
    "box_median",
    "box_p99",
    "box_max",
    "beyond_image",
)

#: Level and words of each note.
Tags = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Card:
    """One case as the page shows it."""

    case_id: str
    patient_id: str
    label: str
    facts: str
    notes: Tags
    left_out: str
    picture: Markup


def write_contact_sheet(
    survey: Survey, album: Album, out: Path, limit: int, show_ids: bool = False
) -> Path:
    """Write check.html and check.csv into the folder ``out``; earlier ones are replaced.

    Args:
        survey: what was found.
        album: the cases' drawings.
        out: the folder, see `sheet_folder`.
        limit: cards at most; cases with findings come first.
        show_ids: whether patient ids are written too.

    Returns:
        The path of check.html.
    """
    page = sheet_folder(out) / PAGE
    atomic.write(page, lambda path: _stream(survey, album, path, limit, show_ids))
    atomic.write_text(out / VALUES, _csv(survey.cases, tags(survey), show_ids))
    return page


def sheet_folder(out: Path) -> Path:
    """The folder, when a contact sheet may be written there without harm to other files.

    Raises:
        DataError: files lie in it that are not an earlier contact sheet's.
    """
    found = {path.name for path in out.iterdir()} if out.is_dir() else set()
    if out.is_file() or (found and PAGE not in found):
        raise DataError(
            f"{out}: expected a new or empty folder, or that of an earlier check, got one in use; "
            "name another with --out"
        )
    return out


def tags(survey: Survey) -> dict[int, Tags]:
    """Level and words of all that is noted of each case, alone or with others, by position."""
    shared: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for relation in survey.relations:
        for case_id in relation.cases:
            others = [other for other in relation.cases if other != case_id]
            shared[case_id].append((relation.level, f"{relation.what}: {listed(others)}"))
    return {
        case.position: tuple(
            dict.fromkeys([*((n.level, n.what) for n in case.notes), *shared[case.case_id]])
        )
        for case in survey.cases
    }


def chosen(cases: Sequence[Case], noted: Mapping[int, Tags], limit: int) -> list[Case]:
    """The cases to show: bad ones first, then those with something to look at, then the rest."""

    def bad(case: Case) -> bool:
        return any(level == "mend" for level, _ in noted[case.position])

    ranked = sorted(cases, key=lambda case: 0 if bad(case) else 1 if noted[case.position] else 2)
    kept = {case.position for case in ranked[:limit]}
    return [case for case in ranked if case.position in kept]


def _stream(survey: Survey, album: Album, path: Path, limit: int, show_ids: bool) -> None:
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    source = files("capsmed.report").joinpath("contact_sheet.html.j2").read_text(encoding="utf-8")
    noted = tags(survey)
    shown = chosen(survey.cases, noted, limit)
    deep = any(len(case.shape) == 3 for case in shown)
    plot = histograms(survey)
    parts = environment.from_string(source).generate(
        name=survey.file,
        summary=words.summary(survey),
        conclusion=words.conclusion(survey),
        frame=words.frame_sentence(survey.frame),
        sections=sections(survey),
        plot=inline(plot) if plot else None,
        box=box_text(survey),
        legend=LEGEND if deep else FLAT_LEGEND,
        flat=not deep,
        masks=any(case.has_mask for case in shown),
        cards=_cards(shown, noted, album, show_ids),
        shown=len(shown),
        total=len(survey.cases),
        research=RESEARCH_USE,
    )
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(parts)


def _cards(
    cases: Sequence[Case], noted: Mapping[int, Tags], album: Album, show_ids: bool
) -> Iterator[Card]:
    for case in cases:
        yield Card(
            case.case_id,
            case.patient_id if show_ids else "",
            case.label,
            _facts(case),
            noted[case.position],
            case.left_out,
            Markup(album.get(case.position)),
        )


def box_text(survey: Survey) -> str:
    """The crop box in words."""
    patch = survey.patch
    if patch.spatial_dims == 3 and all(len(case.shape) < 3 for case in survey.cases):
        return "the whole picture"
    size = " × ".join(map(str, patch.size))
    if patch.spacing is None:
        return f"{size} of the image's own voxels"
    spacing = np.broadcast_to(patch.spacing, len(patch.size))
    lengths = " × ".join(f"{n * mm:g}" for n, mm in zip(patch.size, spacing, strict=True))
    return f"{lengths} mm ({size} voxels)"


def _facts(case: Case) -> str:
    parts = []
    if np.isfinite(case.diameter_mm):
        parts.append(f"{case.diameter_mm:.1f} mm")
    if case.given is not None and np.isfinite(case.given.hu):
        parts.append(f"{number(case.given.hu, 0)} HU at the point")
    if case.spacing:
        parts.append(" × ".join(f"{mm:.2f}" for mm in case.spacing) + " mm voxels")
    elif case.shape:
        unit = "voxels" if len(case.shape) == 3 else "pixels"
        parts.append(" × ".join(map(str, case.shape)) + f" {unit}")
    if case.box is not None and case.box.padded > 0:
        parts.append(f"{max(1, round(100 * case.box.padded))}% beyond the image")
    if case.point_from:
        parts.append(f"point from {case.point_from}")
    return " · ".join(parts)


def _csv(cases: Sequence[Case], noted: Mapping[int, Tags], show_ids: bool) -> str:
    buffer = io.StringIO()
    names = (*COLUMNS[:1], "patient_id", *COLUMNS[1:]) if show_ids else COLUMNS
    writer = csv.DictWriter(buffer, names, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(_cells(case, noted[case.position]) for case in cases)
    return buffer.getvalue()


def _cells(case: Case, noted: Tags) -> dict[str, Any]:
    box = case.box
    levels = {level for level, _ in noted}
    point = case.point if case.point is not None else (None, None, None)
    return {
        "case_id": case.case_id,
        "patient_id": case.patient_id,
        "label": case.label,
        "status": LEVELS["mend"] if "mend" in levels else LEVELS["look"] if levels else "good",
        "notes": "; ".join(dict.fromkeys(what for _, what in noted)),
        "diameter_mm": _rounded(case.diameter_mm),
        "point_from": case.point_from,
        "shape": " ".join(map(str, case.shape)),
        "spacing_mm": " ".join(f"{mm:.4g}" for mm in case.spacing),
        "hu_at_point": _rounded(case.given.hu) if case.given else "",
        **{f"{axis}_ras": _rounded(value) for axis, value in zip("xyz", point, strict=True)},
        **(
            {
                "box_min": _rounded(box.low),
                "box_p1": _rounded(box.first),
                "box_median": _rounded(box.median),
                "box_p99": _rounded(box.last),
                "box_max": _rounded(box.high),
                "beyond_image": _rounded(box.padded, 3),
            }
            if box is not None
            else {}
        ),
    }


def _rounded(value: float | None, digits: int = 2) -> str:
    return "" if value is None or not np.isfinite(value) else f"{value:.{digits}f}"
