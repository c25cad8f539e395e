"""DICOM series joined with a table of points: which row gets which series, and what is refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from capsmed import config
from capsmed.data import importers
from capsmed.data.cohort import Cohort
from capsmed.data.dicom import index
from capsmed.data.importers import Options, joining
from capsmed.data.importers import dicom as kind
from capsmed.errors import DataError


@pytest.fixture
def join(tmp_path: Path) -> Callable[..., importers.Imported]:
    """Import the folder 'source' by a table of points written as text."""

    def read(points: str, frame: str | None = "LPS", **options: object) -> importers.Imported:
        (tmp_path / "points.csv").write_text(points, encoding="utf-8")
        given = Options(points=tmp_path / "points.csv", frame=frame, **options)
        return importers.read("dicom", tmp_path / "source", tmp_path / "out", given)

    return read


@pytest.fixture
def two(scan) -> None:
    """Patient 007 has one CT series, 008 two CT series and a PET."""
    scan("a", uid="1.1", patient="007", Manufacturer="ACME", ConvolutionKernel="B31f", KVP="120")
    scan("b/one", uid="2.1", patient="008", StudyInstanceUID="2")
    scan("b/two", uid="2.2", patient="008", StudyInstanceUID="2.5", StudyDate="20200131")
    scan("b/pet", uid="2.3", patient="008", modality="PT")


def test_rows_join_by_series_or_by_a_patients_only_series(two, join, rows) -> None:
    found = join(
        "series_uid,patient_id,label,x,y,z\n,007,benign,-9,-19,2\n2.2,,malignant,-9,-19,2\n"
    )
    table = [(row["patient_id"], row["series_uid"], row["image"]) for row in rows(found.table)]
    assert table == [("007", "1.1", "../source/a"), ("008", "2.2", "../source/b/two")]
    assert dict(found.left_out) == {joining.NO_ROW: 1, joining.NOT_CT: 1}
    assert found.settings == {"data.frame": "LPS"}


def test_what_the_headers_say_of_the_scan_is_in_the_table(two, join, rows) -> None:
    found = join("series_uid,label,x,y,z,site\n1.1,a,-9,-19,2,Ulm\n2.2,b,-9,-19,2,Graz\n")
    first, second = rows(found.table)
    facts = [first[name] for name in ("manufacturer", "kernel", "kvp", "slice_thickness", "site")]
    assert facts == ["ACME", "B31f", "120", "2", "Ulm"]
    assert second["study_date"] == "20200131"
    assert found.settings["data.classes"] == "null"


def test_a_study_tells_two_series_of_a_patient_apart(two, join, rows) -> None:
    found = join("patient_id,study_uid,label,x,y,z\n008,2,benign,-9,-19,2\n")
    assert rows(found.table)[0]["series_uid"] == "2.1"


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (",008,,benign,1,1,1", joining.AMBIGUOUS),
        ("9.9,,,benign,1,1,1", joining.NO_SERIES),
        (",009,,benign,1,1,1", joining.NO_SERIES),
        (",008,7,benign,1,1,1", joining.NO_SERIES),
        (",008,1.2,benign,1,1,1", joining.NO_CT),
        (",,,benign,1,1,1", joining.NO_KEY),
        ("1.1,008,,benign,1,1,1", joining.CONTRADICTION),
        ("1.1,007,9,benign,1,1,1", joining.CONTRADICTION),
        ("1.1,007,,,1,1,1", joining.NO_LABEL),
        ("1.1,007,,benign,1,,1", kind.NO_POINT),
    ],
)
def test_a_row_that_cannot_be_joined_is_counted_with_its_reason(cells, reason, two, join) -> None:
    found = join(
        f"series_uid,patient_id,study_uid,label,x,y,z\n{cells}\n2.1,,,malignant,-9,-19,2\n"
    )
    assert (found.rows, found.left_out[reason]) == (1, 1)
    assert "00" not in reason


def test_a_series_without_any_patient_is_left_out(scan, join) -> None:
    scan("a", uid="1.1", patient="")
    scan("b", uid="1.2", patient="7")
    found = join("series_uid,label,x,y,z\n1.1,benign,1,1,1\n1.2,malignant,1,1,1\n")
    assert (found.rows, found.left_out[joining.NO_PATIENT]) == (1, 1)


def test_a_scout_image_does_not_make_a_patient_ambiguous(scan, join) -> None:
    scan("a", uid="1.1")
    scan("b", uid="1.2", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    found = join("patient_id,label,x,y,z\n007,benign,1,1,1\n")
    assert (found.rows, dict(found.left_out)) == (1, {joining.NOT_CT: 1})


def test_points_in_pixels_are_handed_on(two, join, rows) -> None:
    text = "patient_id,label,column,row,instance_number\n007,benign,2,3,1\n"
    found = join(text, frame=None, first_pixel=1)
    assert found.settings["data.first_pixel"] == "1"
    assert [rows(found.table)[0][name] for name in ("column", "row", "instance_number")] == [
        *("2", "3", "1")
    ]


def test_a_table_in_another_encoding_is_read(two, tmp_path: Path, rows) -> None:
    path = tmp_path / "points.csv"
    path.write_bytes("patient_id,label,x,y,z,Größe\n007,gutartig,1,1,1,ü\n".encode("cp1252"))
    given = Options(points=path, frame="RAS", encoding="cp1252")
    found = importers.read("dicom", tmp_path / "source", tmp_path / "out", given)
    assert rows(found.table)[0]["Größe"] == "ü"


@pytest.mark.parametrize(
    ("header", "options", "message"),
    [
        ("patient_id,x,y,z", {}, r"missing: label"),
        ("patient_id,lable,x,y,z", {}, r"missing: label; did you mean 'lable'"),
        ("label,x,y,z", {}, r"missing: series_uid or patient_id"),
        ("patient_id,label,x,y", {}, r"missing: a point"),
        ("patient_id,label,column,row", {}, r"missing: a point"),
        ("patient_id,label,x,y,z", {"frame": None}, "--frame: .* so expected RAS or LPS"),
        (
            "patient_id,label,column,row,sop_uid",
            {"frame": None},
            "--first-pixel: .* so expected 0 or 1",
        ),
        (
            "patient_id,label,column,row,sop_uid",
            {"first_pixel": 0},
            "--frame: .* has no x, y, z; leave it out",
        ),
        ("patient_id,label,x,y,z", {"first_pixel": 0}, "--first-pixel: .* has no column, row"),
    ],
)
def test_a_table_of_points_that_is_not_enough_is_refused(
    header, options, message, two, join
) -> None:
    with pytest.raises(DataError, match=message):
        join(f"{header}\n{','.join('1' for _ in header.split(','))}\n", **options)


def test_labels_that_are_all_empty_are_a_missing_column(two, join) -> None:
    with pytest.raises(DataError, match="expected filled columns .* missing: label"):
        join("patient_id,label,x,y,z\n007,,1,1,1\n008,,1,1,1\n")


def test_no_row_that_fits_is_an_error_with_every_reason(two, join) -> None:
    with pytest.raises(
        DataError, match=r"no row fits a series of .*\n  1 x row whose patient or s"
    ):
        join("patient_id,label,x,y,z\n008,benign,1,1,1\n")


def test_without_points_it_is_told_what_was_found_and_what_is_needed(two, tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match="has 4 DICOM series of 2 patients, 3 of them CT scans, .* Write one row"
    ):
        importers.read("dicom", tmp_path / "source", tmp_path / "out")


def test_a_folder_without_dicom_is_refused(tmp_path: Path, join) -> None:
    (tmp_path / "source").mkdir()
    with pytest.raises(DataError, match="expected DICOM series, found none"):
        join("patient_id,label,x,y,z\n008,benign,1,1,1\n")


def test_the_table_is_read_as_a_cohort_and_its_series_open(two, join) -> None:
    found = join("series_uid,label,x,y,z\n1.1,a,-9,-19,2\n2.2,b,-9,-19,2\n")
    data = config.Data(cohort=str(found.table), frame="LPS")
    cohort = Cohort.read(data, Path())
    volumes = [cohort.volume(row) for _, row in cohort.included.iterrows()]
    assert [volume.meta["series_uid"] for volume in volumes] == ["1.1", "2.2"]
    assert list(cohort.table["x"]) == [9.0, 9.0]


def test_damaged_files_are_counted(two, tmp_path: Path, join) -> None:
    whole = (tmp_path / "source" / "a" / "1.1-0.dcm").read_bytes()
    (tmp_path / "source" / "cut.dcm").write_bytes(whole[:200])
    assert join("patient_id,label,x,y,z\n007,benign,1,1,1\n").left_out[kind.DAMAGED] == 1


def test_a_real_series_opens_with_the_point_on_the_mass(real_data, scan, join) -> None:
    source = scan("made", uid="1.1", patient="007")
    (source / "real").symlink_to(real_data / "ct_chest_dicom")
    real = next(one for one in index(source) if one.uid != "1.1")
    cells = "column,row,instance_number\n1.1,benign,1,1,1\n"
    found = join(
        f"series_uid,label,{cells}{real.uid},malignant,166,302,17\n", frame=None, first_pixel=0
    )
    cohort = Cohort.read(config.Data(cohort=str(found.table), first_pixel=0), Path())
    row = cohort.included.iloc[1]
    volume = cohort.volume(row)
    voxel = (
        np.linalg.solve(volume.affine, [row["x"], row["y"], row["z"], 1])[:3].round().astype(int)
    )
    assert row["z"] == pytest.approx(184, abs=0.01)
    assert volume.read(tuple(slice(n, n + 1) for n in voxel)).item() > -100
