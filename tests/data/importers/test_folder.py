"""One folder a class: which files are cases, whose they are, and what is left out."""

from pathlib import Path

import pytest

from capsmed import config
from capsmed.data import importers
from capsmed.data.cohort import Cohort
from capsmed.data.importers import Options
from capsmed.data.importers import folder as kind
from capsmed.data.importers.class_folders import LINK, OUTSIDE
from capsmed.errors import DataError


@pytest.fixture
def imported(tmp_path: Path):
    """Import the folder; with a pattern or without."""

    def read(source: Path, pattern: str | None = None) -> importers.Imported:
        options = Options(patient_pattern=pattern)
        return importers.read("folder", source, tmp_path / "out", options)

    return read


def test_each_picture_is_a_case_of_its_folders_class(pictures, imported, rows) -> None:
    found = imported(pictures("cat/1.png", "cat/x/2.PNG", "dog/3.jpg"))
    assert [row["label"] for row in rows(found.table)] == ["cat", "cat", "dog"]
    images = [row["image"] for row in rows(found.table)]
    assert images == ["../source/cat/1.png", "../source/cat/x/2.PNG", "../source/dog/3.jpg"]
    assert (found.rows, dict(found.left_out)) == (3, {})


def test_without_a_pattern_each_image_is_its_own_patient_and_this_is_said(
    pictures, imported, rows
) -> None:
    found = imported(pictures("cat/p.1.png", "dog/p.2.png"))
    assert [row["patient_id"] for row in rows(found.table)] == ["p.1", "p.2"]
    assert found.notes == (kind.EACH_ITS_OWN,)


def test_images_of_one_name_are_still_patients_of_their_own(pictures, imported, rows) -> None:
    found = imported(pictures("cat/1.png", "dog/1.png", "dog/2.png"))
    patients = [row["patient_id"] for row in rows(found.table)]
    assert patients == ["cat/1.png", "dog/1.png", "dog/2.png"]


def test_case_ids_hold_no_file_name(pictures, imported, rows) -> None:
    found = imported(pictures("cat/Kim Minjun.png", "dog/b.png", "dog/c.png"))
    cases = [row["case_id"] for row in rows(found.table)]
    assert cases == ["cat-00001", "dog-00001", "dog-00002"]


@pytest.mark.parametrize("pattern", [r"(p\d+)_", r"^(p\d+)", r"(?P<patient>p\d+)_s"])
def test_a_pattern_finds_the_patient(pattern, pictures, imported, rows) -> None:
    found = imported(pictures("cat/p7_s1.png", "cat/p7_s2.png", "dog/p8_s1.png"), pattern)
    assert [row["patient_id"] for row in rows(found.table)] == ["p7", "p7", "p8"]
    assert found.notes == ()


def test_a_pattern_may_take_the_patient_from_a_folder(pictures, imported, rows) -> None:
    found = imported(pictures("cat/p7/1.png", "dog/p8/1.png"), "^([^/]+)/")
    assert [row["patient_id"] for row in rows(found.table)] == ["p7", "p8"]


def test_images_that_the_pattern_does_not_fit_are_counted(pictures, imported) -> None:
    found = imported(pictures("cat/p7_1.png", "cat/other.png", "dog/p8_1.png"), r"(p\d)_")
    assert (found.rows, dict(found.left_out)) == (2, {kind.NO_FIT: 1})


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        (r"p\d+_", "expected a group that is the patient"),
        ("(p", "is no regular expression"),
        ("(q)", r"in paths below the class folders, such as 'p1_a.png', got none that fits"),
    ],
)
def test_a_pattern_that_cannot_work_is_refused(pattern, message, pictures, imported) -> None:
    with pytest.raises(DataError, match=message):
        imported(pictures("cat/p1_a.png", "dog/p2_a.png"), pattern)


def test_what_is_no_image_is_counted_and_what_is_hidden_passed_over(pictures, imported) -> None:
    source = pictures(
        "cat/1.png", "dog/2.png", "cat/.hidden.png", ".git/3.png", "cat/Thumbs.db.png"
    )
    (source / "cat" / "notes.docx").write_text("no image")
    (source / "cat" / "zero.png").write_text("")
    (source / "readme.txt").write_text("beside the classes")
    (source / "bird").mkdir()
    (source / "cat" / "loop").symlink_to(source)
    (source / "cat" / "thumbs.db").write_text("the system's")
    found = imported(source)
    counted = {kind.UNKNOWN: 1, kind.EMPTY: 1, OUTSIDE: 1, kind.NO_IMAGE: 1, LINK: 1}
    assert (found.rows, dict(found.left_out)) == (3, counted)


def test_folders_of_parts_become_a_split(pictures, imported, rows) -> None:
    found = imported(
        pictures("train/cat/1.png", "train/dog/1.png", "Test/cat/1.png", "Test/dog/1.png")
    )
    table = rows(found.table)
    assert [(row["split"], row["label"]) for row in table] == [
        *[("test", "cat"), ("test", "dog")],
        *[("train", "cat"), ("train", "dog")],
    ]
    assert len({row["patient_id"] for row in table}) == 4


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["cat/1.png"], "expected two or more folders, one a class, got cat"),
        (["1.png"], "got none"),
    ],
)
def test_fewer_than_two_classes_are_refused(names, message, pictures, imported) -> None:
    with pytest.raises(DataError, match=message):
        imported(pictures(*names))


def test_folders_of_images_and_masks_are_no_classes(pictures, imported) -> None:
    with pytest.raises(DataError, match="expected one folder a class, got Masks, images"):
        imported(pictures("images/1.png", "Masks/1.png"))


def test_folders_without_any_image_are_refused(tmp_path: Path, imported) -> None:
    for name in ("cat", "dog"):
        (tmp_path / "source" / name).mkdir(parents=True)
    with pytest.raises(
        DataError, match="expected images in the class folders, got none; 2 x class"
    ):
        imported(tmp_path / "source")


def test_a_file_instead_of_a_folder_is_refused(tmp_path: Path, imported) -> None:
    (tmp_path / "a.zip").write_text("")
    with pytest.raises(DataError, match=r"a.zip: expected a folder with one folder a class"):
        imported(tmp_path / "a.zip")


def test_a_path_of_other_scripts_and_spaces_is_kept(pictures, imported) -> None:
    found = imported(pictures("양성 결절/폐 1.png", "악성 결절/폐 2.png"))
    cohort = Cohort.read(config.Data(cohort=str(found.table)), Path())
    assert cohort.classes == ("악성 결절", "양성 결절")
    assert cohort.volume(cohort.included.iloc[0]).shape == (6, 4)


def test_a_dicom_series_is_one_case_of_its_own_patient(scan, imported, rows) -> None:
    scan("benign/a", uid="1.2.3", patient="007")
    found = imported(scan("malignant/b", uid="1.2.4", patient="008"))
    images = [(row["image"], row["series_uid"], row["patient_id"]) for row in rows(found.table)]
    assert images == [
        ("../source/benign/a", "1.2.3", "007"),
        ("../source/malignant/b", "1.2.4", "008"),
    ]
    assert found.notes == (kind.BY_HEADER,)


def test_two_series_of_one_folder_are_two_cases_that_open(scan, imported) -> None:
    scan("benign", uid="1.2.3", patient="a")
    scan("benign", uid="1.2.4", patient="b")
    found = imported(scan("malignant", uid="1.2.5", patient="c"))
    cohort = Cohort.read(config.Data(cohort=str(found.table)), Path())
    assert [cohort.volume(row).meta["series_uid"] for _, row in cohort.included.iterrows()] == [
        *("1.2.3", "1.2.4", "1.2.5")
    ]


def test_a_damaged_dicom_file_is_told_from_one_of_another_kind(scan, imported) -> None:
    source = scan("benign/a", uid="1.2.3", patient="a")
    scan("malignant/b", uid="1.2.4", patient="b")
    whole = (source / "benign" / "a" / "1.2.3-0.dcm").read_bytes()
    (source / "malignant" / "cut.dcm").write_bytes(whole[:200])
    (source / "malignant" / "notes").write_text("no image")
    assert dict(imported(source).left_out) == {kind.DAMAGED: 1, kind.UNKNOWN: 1}
