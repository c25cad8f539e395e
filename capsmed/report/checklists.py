"""Reporting checklists with the answers that a run can give by itself."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from capsmed.report.checklist_facts import facts
from capsmed.report.checklist_items import CLAIM, TRIPOD_AI, Item
from capsmed.report.run import RunFiles

_NOTHING = "this run's files do not say"


@dataclass(frozen=True)
class Row:
    """An item as it is shown.

    Attributes:
        number: of the item.
        asks: what is to be reported.
        answer: the run's; '' where it has none.
        authors: what is left for the authors; '' for nothing.
    """

    number: str
    asks: str
    answer: str
    authors: str


@dataclass(frozen=True)
class Checklist:
    """A checklist, its source and its rows."""

    name: str
    source: str
    rows: list[Row]

    @property
    def answered(self) -> int:
        """Number of items that the run answers, wholly or in part."""
        return sum(bool(row.answer) for row in self.rows)

    @property
    def table(self) -> pd.DataFrame:
        """The rows as a sheet."""
        cells = [(row.number, row.asks, row.answer, row.authors) for row in self.rows]
        return pd.DataFrame(cells, columns=["item", "asks", "the run", "for the authors"])


def checklists(run: RunFiles) -> list[Checklist]:
    """CLAIM 2024 and TRIPOD+AI; whatever ``run`` does not record stays with the authors."""
    known = facts(run)
    return [
        Checklist(
            "CLAIM 2024",
            "Tejani et al., Radiology: Artificial Intelligence 2024;6(4):e240300",
            [_row(item, known) for item in CLAIM],
        ),
        Checklist(
            "TRIPOD+AI",
            "Collins et al., BMJ 2024;385:e078378",
            [_row(item, known) for item in TRIPOD_AI],
        ),
    ]


def markdown(found: list[Checklist]) -> str:
    """The checklists as Markdown."""
    return "\n\n".join(map(_section, found)) + "\n"


def _section(one: Checklist) -> str:
    head = ["| item | asks | the run | for the authors |", "|---|---|---|---|"]
    rows = [
        f"| {' | '.join(map(_cell, (row.number, row.asks, row.answer, row.authors)))} |"
        for row in one.rows
    ]
    return "\n".join([f"## {one.name}", f"{one.source}.", "", *head, *rows])


def _cell(text: str) -> str:
    return text.replace("\n", " ").replace("|", "\\|").replace("<", "&lt;")


def _row(item: Item, known: dict[str, str]) -> Row:
    answer = " ".join(known[name] for name in item.facts if known[name])
    return Row(item.number, item.asks, answer, item.hint or ("" if answer else _NOTHING))
