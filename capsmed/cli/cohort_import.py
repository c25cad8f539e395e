"""The command that turns somebody's data into a cohort table."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from capsmed.cli.options import ENCODING, FIRST_PIXEL, FRAME

if TYPE_CHECKING:
    from capsmed.data.importers import Imported

_PATH = click.Path(path_type=Path)


@click.command(name="import")
@click.argument("kind")
@click.argument("source")
@click.argument("out", type=_PATH)
@click.option("--points", type=_PATH, help="dicom: table of points with labels.")
@FRAME
@FIRST_PIXEL
@ENCODING
@click.option(
    "--patient-pattern",
    metavar="REGEX",
    help="folder: its first group, in a path below the class, is the patient.",
)
@click.option(
    "--annotations", type=_PATH, help="lidc, luna16: file or folder with the annotations."
)
@click.option("--patients", type=_PATH, help="lidc: text file of the patients to take, one a line.")
@click.option(
    "--min-readers",
    type=click.IntRange(min=1),
    help="lidc: readers who must have outlined a nodule; default 3.",
)
@click.option(
    "--min-diameter", type=click.FloatRange(min=0), help="lidc: smallest nodule in mm; default 3."
)
@click.option(
    "--negatives-per-scan",
    type=click.IntRange(min=0),
    help="luna16: at most this many non-nodules of a scan; default 5.",
)
@click.option(
    "--nodules-only",
    is_flag=True,
    default=None,
    help="luna16: take the list of nodules, not that of candidates.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    help="luna16, affnist: of what is drawn; default 0.",
)
def import_cohort(kind: str, source: str, out: Path, **options: Any) -> None:
    """Write a cohort table of SOURCE, which is of the kind KIND, into the new folder OUT.

    KIND is affnist, dicom, folder, lidc, luna16, medmnist, mnist, or a plugin's. The images stay
    where they are; what is left out is counted, with the reason.
    """
    from capsmed import plugins
    from capsmed.data import importers
    from capsmed.data.progress import shown

    plugins.load()
    with shown(True, f"importing {kind}") as progress:
        imported = importers.read(kind, source, out, importers.Options(**options), progress)
    _show(imported)


def _show(imported: Imported) -> None:
    """Print what the table holds, what it does not, and which commands come next."""
    from capsmed.data.table import read_table

    rows = read_table(imported.table).rows
    patients = {row["patient_id"] for row in rows if row["patient_id"]}
    known = f"{len(patients)} patients" if patients else "patients unknown"
    click.echo(f"{imported.table}: {imported.rows} cases, {known}")
    labels = Counter(row["label"] for row in rows)
    for label, count in sorted(labels.items()):
        click.echo(f"  {count:>7} {label}")
    if len(labels) < 2:
        click.echo("note: there is one class only; a training needs two")
    if imported.left_out:
        click.echo("left out:")
    for reason, count in imported.left_out.items():
        click.echo(f"  {count:>7} {reason}")
    for note in imported.notes:
        click.echo(f"note: {note}")
    click.echo(f"check it:    {_check(imported)}")
    click.echo(f"train on it: {_train(imported)}")


def _check(imported: Imported) -> str:
    words = ["capsmed", "cohort", "check", str(imported.table)]
    for name in ("frame", "first_pixel"):
        if value := imported.settings.get(f"data.{name}"):
            words += ["--" + name.replace("_", "-"), value]
    return shlex.join(words)


def _train(imported: Imported) -> str:
    words = ["capsmed", "train", "--config", imported.config]
    table = imported.table.resolve()
    name = table.parent.name
    named = {"name": name} if re.fullmatch(r"[A-Za-z0-9._-]+", name) else {}
    settings = {**named, "data.cohort": str(table), **imported.settings}
    for key, value in settings.items():
        words += ["--set", f"{key}={value}"]
    return shlex.join(words)
