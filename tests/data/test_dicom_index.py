"""A tree of DICOM files as series."""

import os
import shutil

import pydicom
import pytest

from capsmed.data import dicom
from capsmed.data.dicom import scan
from capsmed.data.readers import open_volume
from capsmed.errors import CheckFailed, DataError


@pytest.fixture
def tree(tmp_path, slice_of):
    """Two series of two and three slices in folders of their own."""
    top = tmp_path / "환자 CT"
    for uid, depths in (("1.2.3.1", (0, 2)), ("1.2.3.2", (0, 2, 4))):
        folder = top / uid[-1] / "slices"
        folder.mkdir(parents=True)
        for z in depths:
            pydicom.dcmwrite(folder / f"IM{z}", slice_of(z, series=uid), enforce_file_format=True)
    return top


def test_series_are_told_apart_by_their_uid(tree):
    found = dicom.index(tree)
    assert [(one.uid, len(one.files)) for one in found] == [("1.2.3.1", 2), ("1.2.3.2", 3)]
    assert [one.folder.parent.name for one in found] == ["1", "2"]
    assert {(one.patient_id, one.study_uid, one.modality) for one in found} == {
        ("007", "1.2", "CT")
    }


def test_a_series_is_found_by_its_uid_anywhere_below(tree):
    assert dicom.find(tree, "1.2.3.2").folder == tree / "2" / "slices"
    assert open_volume(tree, series="1.2.3.2").shape == (5, 4, 3)
    with pytest.raises(DataError, match=r"found no DICOM series 9\.9 below it; check the UID"):
        open_volume(tree, series="9.9")


def test_progress_counts_files(tree):
    calls = []
    dicom.index(tree, lambda done, total: calls.append((done, total)))
    assert calls[-1] == (5, 5)


def test_other_files_reports_and_directories_are_passed_over(tree, slice_of):
    report = slice_of(9, series="1.2.3.9")
    report.Modality = "SR"
    del report.PixelData, report.Rows
    pydicom.dcmwrite(tree / "report.dcm", report, enforce_file_format=True)
    shutil.copy(pydicom.data.get_testdata_file("DICOMDIR", download=False), tree / "DICOMDIR")
    (tree / "notes.txt").write_text("free")
    (tree / "random").write_bytes(os.urandom(4096))
    assert [one.uid for one in dicom.index(tree)] == ["1.2.3.1", "1.2.3.2"]


def test_links_in_a_circle_end_and_count_nothing_twice(tree):
    (tree / "1" / "up").symlink_to(tree)
    (tree / "root").symlink_to("/")
    (tree / "again").symlink_to(tree / "2")
    (tree / "2" / "slices" / "same").symlink_to(tree / "2" / "slices" / "IM0")
    assert [len(one.files) for one in dicom.index(tree)] == [2, 3]


def test_links_that_lead_out_of_the_tree_are_followed(tree, tmp_path):
    collection = tmp_path / "collection"
    collection.mkdir()
    (collection / "one").symlink_to(tree / "1")
    (collection / "IM0").symlink_to(tree / "2" / "slices" / "IM0")
    assert [len(one.files) for one in dicom.index(collection)] == [2, 1]


def test_pipes_are_not_opened(tree):
    os.mkfifo(tree / "1" / "slices" / "pipe.dcm")
    assert len(dicom.index(tree)) == 2


def test_an_indexed_tree_is_not_read_again(tree, monkeypatch):
    for folder in [tree, *tree.rglob("*")]:
        os.utime(folder, (1, 1))
    first = dicom.index(tree)
    monkeypatch.setattr(scan, "opened", lambda path: pytest.fail(f"read {path} again"))
    assert dicom.index(tree)[0] is first[0]


def test_a_file_that_joins_or_changes_is_noticed(tree, slice_of):
    assert open_volume(tree / "1").shape == (5, 4, 2)
    third = tree / "1" / "slices" / "IM4"
    pydicom.dcmwrite(third, slice_of(4, series="1.2.3.1"), enforce_file_format=True)
    assert open_volume(tree / "1").shape == (5, 4, 3)
    pydicom.dcmwrite(third, slice_of(6, series="1.2.3.1"), enforce_file_format=True)
    with pytest.raises(CheckFailed, match="1 of 4 slices are missing"):
        open_volume(tree / "1")


def test_pixels_that_change_after_opening_are_not_read(tree, slice_of):
    volume = open_volume(tree / "1")
    pydicom.dcmwrite(tree / "1/slices/IM0", slice_of(8), enforce_file_format=True)
    with pytest.raises(DataError, match="IM0: it has changed since it was opened; start again"):
        volume.read(None)


def test_a_table_is_told_what_the_headers_say(real_data):
    (one,) = dicom.index(real_data / "ct_chest_dicom")
    facts = dicom.describe(one)
    assert (facts["manufacturer"], facts["kernel"], facts["kvp"]) == ("SIEMENS", "B40f", "120")
    assert (facts["slice_thickness"], facts["study_date"]) == ("8", "20070425")
    assert facts["transfer_syntax"] == "1.2.840.10008.1.2.1" and facts["modality"] == "CT"


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match="lost: expected a folder of DICOM files, found none"):
        dicom.index(tmp_path / "lost")
