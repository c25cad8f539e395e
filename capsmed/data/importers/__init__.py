"""Importers: each turns one kind of source into a folder with a cohort table."""

from __future__ import annotations

from pathlib import Path

from capsmed import third_party
from capsmed.data import folders
from capsmed.data.importers import affnist, dicom, folder, lidc, luna16, medmnist, mnist
from capsmed.data.importers.contract import Imported, Importer, Options, Progress
from capsmed.errors import DataError, did_you_mean

__all__ = ["IMPORTERS", "Imported", "Importer", "Options", "Progress", "read", "register"]

IMPORTERS: dict[str, Importer] = {}


def register(kind: str, importer: Importer) -> None:
    """Make ``importer`` known as ``capsmed cohort import KIND``.

    Raises:
        ValueError: another importer has the name already.
    """
    if IMPORTERS.setdefault(kind, importer) != importer:
        taken, own = (part.read.__module__ for part in (IMPORTERS[kind], importer))
        raise ValueError(
            f"importers: expected a free name, got {kind!r}, which is {taken}; "
            f"register that of {own} under another name"
        )


def read(
    kind: str,
    source: Path | str,
    out: Path,
    options: Options | None = None,
    progress: Progress | None = None,
) -> Imported:
    """Write a cohort table of ``source`` into the new folder ``out``.

    Args:
        kind: one of IMPORTERS.
        source: file or folder; of some kinds a name.
        out: a folder that is not there yet, or empty.
        options: those that the kind obeys.
        progress: called with (done, all).

    Raises:
        DataError: unknown kind, an option it does not obey, no such source, ``out`` in use, or
            what the importer itself finds.
    """
    importer = _importer(kind)
    options = options or Options()
    _check_options(kind, importer, options)
    source = Path(source)
    if not importer.named and not source.exists():
        raise DataError(f"{source}: not found; expected what `cohort import {kind}` reads")
    return importer.read(source, folders.vacant(Path(out)), options, progress)


def _importer(kind: str) -> Importer:
    if kind not in IMPORTERS:
        raise DataError(
            f"cohort import: expected one of {', '.join(sorted(IMPORTERS))}, "
            f"got {kind!r}{did_you_mean(kind, IMPORTERS)}{third_party.failed()}"
        )
    return IMPORTERS[kind]


def _check_options(kind: str, importer: Importer, options: Options) -> None:
    foreign = [_flag(name) for name in options.given() if name not in importer.uses]
    if foreign:
        known = ", ".join(_flag(name) for name in importer.uses) or "no options"
        raise DataError(
            f"cohort import {kind}: expected {known}, got {', '.join(foreign)}; leave it out"
        )
    for name in options.given():
        value = getattr(options, name)
        if isinstance(value, Path) and not value.exists():
            raise DataError(f"{_flag(name)}: {value} was not found; check the path")


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


register(
    "folder",
    Importer(folder.read, "images or DICOM series, one folder a class", ("patient_pattern",)),
)
register(
    "dicom",
    Importer(
        dicom.read,
        "a tree of DICOM series and a table of points",
        ("points", "frame", "first_pixel", "encoding"),
    ),
)
register("medmnist", Importer(medmnist.read, "a MedMNIST .npz, by file or name", named=True))
register("mnist", Importer(mnist.read, "a folder of IDX files"))
register(
    "affnist",
    Importer(affnist.read, "affNIST's test generated from a folder of MNIST's files", ("seed",)),
)
register("lidc", Importer(lidc.read, "LIDC-IDRI from TCIA with its annotations", lidc.USES))
register("luna16", Importer(luna16.read, "LUNA16's scans and lists of points", luna16.USES))
