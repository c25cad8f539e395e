"""What all importers share: names, options, the new folder, and the way of writing it."""

from dataclasses import fields
from pathlib import Path

import pytest

from capsmed.data import importers
from capsmed.data.importers import Imported, Importer, Options
from capsmed.data.importers.writing import class_settings, relative, write_folder, write_table
from capsmed.errors import DataError

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("kind", importers.IMPORTERS)
def test_an_importer_obeys_only_options_that_there_are(kind: str) -> None:
    assert set(importers.IMPORTERS[kind].uses) <= {entry.name for entry in fields(Options)}


def test_an_unknown_kind_is_told_the_nearest_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="got 'folders'; did you mean 'folder'"):
        importers.read("folders", tmp_path, tmp_path / "out")


def test_an_option_of_another_kind_is_refused_with_those_it_has(tmp_path: Path) -> None:
    wrong = Options(frame="LPS", negatives_per_scan=3)
    with pytest.raises(
        DataError,
        match="import folder: expected --patient-pattern, got --frame, --negatives-per-scan",
    ):
        importers.read("folder", tmp_path, tmp_path / "out", wrong)


def test_a_kind_without_options_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="import mnist: expected no options, got --seed"):
        importers.read("mnist", tmp_path, tmp_path / "out", Options(seed=0))


@pytest.mark.parametrize("kind", ["folder", "dicom", "mnist", "affnist"])
def test_a_source_that_is_not_there_is_named(kind: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"lost: not found; expected what `cohort import"):
        importers.read(kind, tmp_path / "lost", tmp_path / "out")


def test_a_file_of_an_option_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"--points: .*lost.csv was not found"):
        importers.read("dicom", tmp_path, tmp_path / "out", Options(points=tmp_path / "lost.csv"))


def test_a_folder_in_use_is_not_written_to(pictures, tmp_path: Path) -> None:
    source = pictures("a/1.png", "b/2.png")
    with pytest.raises(DataError, match="expected a new or empty folder, got one in use"):
        importers.read("folder", source, source)
    assert sorted(path.name for path in source.iterdir()) == ["a", "b"]


def test_a_name_that_is_taken_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"expected a free name, got 'mnist', which is capsmed\.data"
    ):
        importers.register("mnist", Importer(lambda *_: Imported(Path(), 0), "another"))


def test_the_documented_plugin_imports(tmp_path: Path, monkeypatch, rows) -> None:
    monkeypatch.setattr(importers, "IMPORTERS", {})
    page = (ROOT / "docs" / "how-to" / "import.md").read_text(encoding="utf-8")
    exec(page.partition("```python\n")[2].partition("```")[0], {})
    (tmp_path / "p7.nii.gz").write_text("")
    found = importers.read("hospital", tmp_path, tmp_path / "out")
    assert rows(found.table)[0]["image"] == "../p7.nii.gz"


def test_a_failed_import_leaves_nothing_behind(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        (folder / "mask.nii").write_text("half")
        raise DataError("stopped")

    with pytest.raises(DataError, match="stopped"):
        write_folder(tmp_path / "out", [], fill)
    assert list(tmp_path.iterdir()) == []


def test_a_table_has_the_needed_columns_first_and_all_others(tmp_path: Path) -> None:
    write_table(tmp_path / "t.csv", [{"x": 1, "case_id": "쥐 1"}, {"label": "a,b", "z": None}])
    text = (tmp_path / "t.csv").read_bytes().decode("utf-8")
    assert text == 'case_id,patient_id,image,label,x,z\n쥐 1,,,,1,\n,,,"a,b",,\n'


def test_paths_start_at_the_table_and_follow_linked_folders(tmp_path: Path) -> None:
    (tmp_path / "far" / "deep").mkdir(parents=True)
    (tmp_path / "near").symlink_to(tmp_path / "far" / "deep")
    out = tmp_path / "near" / "out"
    assert relative(tmp_path / "scans" / "a.png", out) == "../../../scans/a.png"


def test_a_linked_file_keeps_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "content").write_text("")
    (tmp_path / "a.png").symlink_to(tmp_path / "content")
    assert relative(tmp_path / "a.png", tmp_path / "out") == "../a.png"


@pytest.mark.parametrize(
    ("labels", "changes"),
    [(["benign", "malignant", "indeterminate"], 0), (["malignant"], 2), (["a", "b"], 2)],
)
def test_other_classes_than_the_configurations_are_set_free(labels, changes) -> None:
    assert len(class_settings(labels)) == changes
