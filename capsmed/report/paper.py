"""What a manuscript takes from a run: figures for print, tables as sheets, a methods paragraph."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
from openpyxl.styles import Alignment

from capsmed import atomic
from capsmed.errors import DataError
from capsmed.report import cohort, words
from capsmed.report.by_class import class_sheet
from capsmed.report.checklists import checklists, markdown
from capsmed.report.html import draw
from capsmed.report.methods import methods
from capsmed.report.run import RunFiles, read_run
from capsmed.report.style import printed

FORMATS = ("png", "pdf", "tiff")


def write_paper(run: Path) -> Path:
    """Write ``paper/`` into a run folder or an evaluation: nothing in it names a patient.

    ``figures/`` holds every figure as PNG and TIFF (300 dots an inch) and as PDF; ``tables.xlsx``
    the cohort (Table 1), the results with their intervals and how those were made, of more than two
    classes each against the rest, the paired comparisons, and two reporting checklists;
    ``methods.md`` says only what the run did, and ``checklists.md`` has the checklists as text.

    Args:
        run: a finished run folder, or an ``evaluations/<name>`` folder inside one.

    Returns:
        The folder.

    Raises:
        CheckpointError: the folder lacks a file of a finished run.
        DataError: ``paper`` is a file.
    """
    found = read_run(Path(run))
    folder = found.folder / "paper"
    if folder.is_file():
        raise DataError(f"{folder}: expected a folder, got a file; move it away")
    with printed(folder / "figures", FORMATS):
        draw(found)
    filled = checklists(found)
    told = sheets(found) | {one.name: one.table for one in filled}
    atomic.write(folder / "tables.xlsx", lambda path: _write_sheets(path, told))
    text = [*methods(found), words.sentence(found.metrics["note"]), words.RESEARCH_USE]
    atomic.write_text(folder / "checklists.md", markdown(filled))
    atomic.write_text(folder / "methods.md", "\n".join(filter(None, text)) + "\n")
    return folder


def sheets(run: RunFiles) -> dict[str, pd.DataFrame]:
    """What ``tables.xlsx`` holds, by the sheets' names."""
    by_class = class_sheet(run)
    return {
        "Table 1": table_1(run),
        "Results": results(run),
        **({"By class": by_class} if len(by_class) else {}),
        "Comparisons": pairs(run),
    }


def table_1(run: RunFiles) -> pd.DataFrame:
    """The cohort by class: cases, patients, median diameter; and who was left out, and why."""
    heads = ["class", "cases", "patients", "median diameter, mm"]
    rows = pd.DataFrame(cohort.class_rows(run), columns=heads)
    left = [(f"left out: {why}", count, "", "") for why, count in cohort.excluded_rows(run)]
    return pd.concat([rows, pd.DataFrame(left, columns=heads)], ignore_index=True)


def results(run: RunFiles) -> pd.DataFrame:
    """Every metric of every model: value, limits, and how the interval was made."""
    models = {run.model: run.metrics["model"], **run.metrics["baselines"]}
    names = {**words.metric_rows(run.metrics), **words.more_rows(run.metrics)}
    rows = [
        {"model": words.label_of(model), "metric": text, **_cells(entry[key])}
        for model, entry in models.items()
        for key, text in names.items()
        if key in entry
    ]
    return pd.DataFrame(rows)


def pairs(run: RunFiles) -> pd.DataFrame:
    """The network's AUC minus each baseline's, with DeLong's p."""
    rows = []
    for name, entry in run.metrics["baselines"].items():
        gap = entry["auc_difference"]
        p = (gap.get("delong") or {}).get("p")
        told = {"network minus": words.label_of(name), "cases": gap.get("n_cases")}
        rows.append({**told, **_cells(gap), "DeLong's p": p})
    columns = ["network minus", "cases", "value", "low", "high", "interval", "DeLong's p"]
    return pd.DataFrame(rows, columns=columns)


def _cells(entry: dict[str, Any]) -> dict[str, Any]:
    method = entry.get("method", "")
    return {**{key: entry[key] for key in ("value", "low", "high")}, "interval": method}


def _write_sheets(path: Path, sheets: dict[str, pd.DataFrame]) -> None:
    with pd.ExcelWriter(path, engine="openpyxl") as book:
        for name, table in sheets.items():
            table.map(_harmless).to_excel(book, sheet_name=name, index=False)
            sheet = book.sheets[name]
            for column in sheet.columns:
                width = 2 + max(len(str(cell.value or "")) for cell in column)
                sheet.column_dimensions[column[0].column_letter].width = min(60, width)
                for cell in column:
                    cell.alignment = Alignment(vertical="top", wrap_text=width > 60)


def _harmless(value: Any) -> Any:
    """A cell that begins like a formula would be run by the reader's spreadsheet."""
    return re.sub(r"^([=+\-@])", r"'\1", value) if isinstance(value, str) else value
