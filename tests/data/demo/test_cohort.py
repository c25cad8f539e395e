"""The rendered cohort on disk: table, DICOM, NIfTI, and labels that touch no pixel."""

from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pydicom
import pytest

from capsmed.data import demo
from capsmed.data.demo import cohort, records
from capsmed.data.demo.render import render
from capsmed.data.demo.scene import scene
from capsmed.data.demo.writers import flipped
from capsmed.errors import DataError


def first(table: pd.DataFrame, format_: str) -> pd.Series:
    return table[table["format"] == format_].iloc[0]


def rendered(case_id: str):
    index = [row["case_id"] for row in records.rows()].index(case_id)
    return render(scene(index, 240), records.nodules()[case_id]), scene(index, 240)


def slices(folder: Path) -> list[pydicom.Dataset]:
    return [pydicom.dcmread(path) for path in sorted(folder.iterdir())]


def test_permuted_labels_leave_every_image_byte_as_it_was(
    small_cohort: Path, small_table: pd.DataFrame, tmp_path: Path
) -> None:
    truth = records.labels()
    wrong = dict(zip(truth, reversed(truth.values()), strict=True))
    chosen = [cohort.subset(8)[i] for i in (0, 3, 5)]
    cohort.fill(tmp_path, chosen, wrong)
    paths = [p.relative_to(tmp_path) for p in (tmp_path / "images").rglob("*") if p.is_file()]
    assert all((tmp_path / p).read_bytes() == (small_cohort / p).read_bytes() for p in paths)
    assert len(paths) > 2
    labels = pd.read_csv(tmp_path / "cohort.csv").set_index("case_id")["label"]
    assert (labels != small_table.set_index("case_id")["label"][labels.index]).any()


def test_the_table_has_what_a_cohort_needs(small_table: pd.DataFrame, small_cohort: Path) -> None:
    needed = ["case_id", "patient_id", "image", "label", "x", "y", "z", "diameter_mm", "format"]
    assert list(small_table)[: len(needed)] == needed
    assert {"texture", "margin", "spiculation", "malignancy_median"} <= set(small_table)
    assert all((small_cohort / image).exists() for image in small_table["image"])
    assert (small_cohort / "ATTRIBUTION.md").is_file()


def test_a_small_cohort_keeps_classes_and_formats_in_proportion(small_table: pd.DataFrame) -> None:
    assert small_table["label"].value_counts().to_dict() == {"benign": 4, "malignant": 4}
    assert small_table["format"].value_counts().to_dict() == {"dicom": 4, "nifti": 4}
    assert len(cohort.subset(None)) == len(cohort.subset(999)) == 240
    malignant = [c for c in cohort.subset(60) if c in indices_of("malignant")]
    assert len(malignant) == pytest.approx(60 * 108 / 240, abs=1)


def indices_of(label: str) -> set[int]:
    names = enumerate(records.labels().values())
    return {number for number, verdict in names if verdict.name == label}


def test_a_nifti_file_gives_back_the_rendered_hu(
    small_cohort: Path, small_table: pd.DataFrame
) -> None:
    row = first(small_table, "nifti")
    image = nibabel.load(small_cohort / row["image"])
    block, place = rendered(row["case_id"])
    assert "".join(nibabel.aff2axcodes(image.affine)) == place.stored
    assert image.get_data_dtype() == np.int16
    upright = nibabel.as_closest_canonical(image)
    assert np.array_equal(np.asarray(upright.dataobj), block.hu)
    assert upright.affine == pytest.approx(block.affine, abs=1e-3)


def test_a_dicom_series_gives_back_the_rendered_hu(
    small_cohort: Path, small_table: pd.DataFrame
) -> None:
    row = first(small_table, "dicom")
    series = sorted(slices(small_cohort / row["image"]), key=lambda s: s.ImagePositionPatient[2])
    hu = [s.pixel_array * s.RescaleSlope + s.RescaleIntercept for s in series]
    block, _ = rendered(row["case_id"])
    voxels, affine = flipped(block, "LPS")
    assert np.array_equal(np.stack(hu, axis=-1).transpose(1, 0, 2), voxels)
    assert list(series[0].ImagePositionPatient) == pytest.approx(
        affine[:3, 3] * [-1, -1, 1], abs=1e-3
    )


def test_dicom_tags_are_those_of_one_ct_series(
    small_cohort: Path, small_table: pd.DataFrame
) -> None:
    row = first(small_table, "dicom")
    series = slices(small_cohort / row["image"])
    assert {s.file_meta.TransferSyntaxUID for s in series} == {pydicom.uid.ExplicitVRLittleEndian}
    assert {(s.Modality, s.PatientID) for s in series} == {("CT", row["patient_id"])}
    assert len({s.SeriesInstanceUID for s in series}) == 1
    assert len({s.SOPInstanceUID for s in series}) == len(series)
    assert all(s.SOPInstanceUID.is_valid and s.StudyInstanceUID.is_valid for s in series)
    assert "synthetic" in series[0].SeriesDescription


def test_both_dicom_pixel_types_and_slice_orders_are_met(
    small_cohort: Path, small_table: pd.DataFrame
) -> None:
    folders = small_table[small_table["format"] == "dicom"]["image"]
    series = [slices(small_cohort / folder) for folder in folders]
    assert {int(s[0].RescaleIntercept) for s in series} == {0, -1024}
    rising = {s[0].ImagePositionPatient[2] < s[-1].ImagePositionPatient[2] for s in series}
    assert rising == {True, False}


@pytest.mark.parametrize("axes", ["RAS", "LPS", "LAS", "RPI"])
def test_flipped_voxels_keep_their_place_in_the_patient(axes: str) -> None:
    block, _ = rendered("demo_001")
    cut = replace(block, hu=block.hu[:7, :11, :5])
    voxels, affine = flipped(cut, axes)
    x, y, z = (affine @ [2, 3, 4, 1])[:3]
    i, j, k = np.rint(np.linalg.inv(block.affine) @ [x, y, z, 1])[:3].astype(int)
    assert voxels[2, 3, 4] == cut.hu[i, j, k]
    assert "".join(nibabel.aff2axcodes(affine)) == axes


def test_progress_is_told_after_each_case(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    demo.write(tmp_path / "out", cases=2, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]


def test_a_folder_in_use_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(DataError, match="expected a new or empty folder, got one in use"):
        demo.write(tmp_path, cases=2)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_less_than_one_case_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cases: expected at least 1, got 0"):
        demo.write(tmp_path / "out", cases=0)
