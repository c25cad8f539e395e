"""`capsmed cohort check`: look at every case before anything is trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from capsmed.cli.options import CONFIG, DATA_ROOT, ENCODING, FIRST_PIXEL, FRAME, OUT
from capsmed.errors import DataError

if TYPE_CHECKING:
    from capsmed.config import Data, Patch, Section
    from capsmed.data.survey import Survey

    S = TypeVar("S", bound=Section)


@click.command()
@click.argument("table")
@CONFIG
@FRAME
@FIRST_PIXEL
@ENCODING
@DATA_ROOT
@click.option("--diameter", metavar="COLUMN", help="Column with the diameter in mm.")
@click.option("--classes", metavar="A,B", help="Labels that take part; default: all.")
@click.option("--size", metavar="N,N,N", help="Voxels of the crop box; one number for a cube.")
@click.option("--spacing", metavar="MM", help="Millimetres between them, one or three numbers.")
@click.option(
    "--cases",
    "limit",
    type=click.IntRange(min=1),
    default=300,
    show_default=True,
    help="Cases on the page at most, those with findings first; all are read.",
)
@click.option("--show-ids", is_flag=True, help="Write patient ids too.")
@OUT
def check(
    table: str,
    source: str | None,
    data_root: Path | None,
    size: str | None,
    spacing: str | None,
    limit: int,
    show_ids: bool,
    out: Path | None,
    **given: Any,
) -> None:
    """Read every case of TABLE; print a summary and write a contact sheet.

    The page check.html and the table check.csv go to --out, by default check/ and the table's name;
    the name of its folder when the table is called cohort, as importers call theirs.
    The exit code is 1 when something must be mended before training.
    """
    from capsmed import plugins
    from capsmed.data.progress import shown
    from capsmed.data.survey import open_table, survey
    from capsmed.report.contact_sheet import sheet_folder, write_contact_sheet
    from capsmed.report.survey_pictures import Album

    plugins.load()
    data, patch, chosen = _settings(table, source, size, spacing, given)
    folder = sheet_folder(out or _folder(table))
    opened = open_table(data, Path(), data_root)
    with Album() as album:
        with shown(True, "looking at cases") as progress:
            found = survey(opened, patch, album.add, progress, chosen)
        page = write_contact_sheet(found, album, folder, limit, show_ids)
    _show(found)
    click.echo(f"contact sheet: {page}")
    _end(found, table)


def _folder(table: str) -> Path:
    """Where the page of a table goes when nobody says, so that each cohort has its own."""
    path = Path(table)
    name = path.resolve().parent.name if path.stem == "cohort" else ""
    return Path("check") / (name or path.stem)


def _settings(
    table: str, source: str | None, size: str | None, spacing: str | None, given: dict[str, Any]
) -> tuple[Data, Patch, bool]:
    """The cohort's and the patch's sections, and whether somebody chose the patch."""
    from capsmed import config

    if source is not None:
        experiment = config.load(source, ["data.cohort=demo"]).experiment
        fields, patch = experiment.data.model_dump(), experiment.patch
    else:
        fields, patch = {}, config.Patch()
    classes = given.pop("classes")
    if classes is not None:
        fields["classes"] = [name.strip() for name in classes.split(",")]
    fields |= {key: value for key, value in given.items() if value is not None}
    data = _valid(config.Data, {**fields, "cohort": table}, "--classes")
    return data, _patch(patch, size, spacing), source is not None or size is not None


def _patch(patch: Patch, size: str | None, spacing: str | None) -> Patch:
    fields = patch.model_dump()
    if size is not None:
        counts = _numbers("--size", size, int)
        counts = counts * 3 if len(counts) == 1 else counts
        fields |= {"size": counts, "spatial_dims": len(counts)}
        if len(counts) == 2 and spacing is None:
            fields["spacing"] = None
    if spacing is not None:
        steps = _numbers("--spacing", spacing, float)
        fields["spacing"] = steps[0] if len(steps) == 1 else steps
    return _valid(type(patch), fields, "--size, --spacing")


def _valid(kind: type[S], fields: dict[str, Any], options: str) -> S:
    from pydantic import ValidationError

    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "wrong"
        raise click.BadParameter(f"{place}: {first['msg']}", param_hint=options) from error


def _numbers(option: str, text: str, kind: type[int] | type[float]) -> tuple[Any, ...]:
    try:
        return tuple(kind(part) for part in text.replace("x", ",").split(","))
    except ValueError as error:
        what = "whole numbers" if kind is int else "numbers"
        raise click.BadParameter(
            f"expected {what} such as 32,32,16, got {text!r}", param_hint=option
        ) from error


def _show(found: Survey) -> None:
    from rich.console import Console
    from rich.table import Table

    from capsmed.report import survey_words as words
    from capsmed.report.survey_tables import sections
    from capsmed.report.words import RESEARCH_USE

    console = Console()
    if not console.is_terminal:
        console = Console(width=140)
    for section in sections(found):
        table = Table(title=section.title, title_justify="left", show_header=any(section.heads))
        for head in section.heads:
            table.add_column(head)
        for row in section.rows:
            table.add_row(*row)
        console.print(table, markup=False)
    for case in found.cases:
        for note in case.notes:
            if note.level == "mend" and note.detail:
                console.print(f"{case.case_id}: {note.detail}", markup=False, highlight=False)
    for text in (words.summary(found), words.frame_sentence(found.frame), RESEARCH_USE):
        console.print(text, markup=False, highlight=False)


def _end(found: Survey, table: str) -> None:
    from capsmed.report.survey_words import conclusion

    text = conclusion(found)
    if text:
        raise DataError(f"{table}: {text}")
