"""What a look at every case finds, on cohorts whose truth is known."""

import numpy as np
import pytest

from capsmed import config
from capsmed.data.survey import open_table, survey
from capsmed.errors import DataError
from tests.data.survey_cohorts import (
    AFFINE,
    PATCH,
    add,
    chest,
    look,
    related,
    save,
    whats,
    write_cohort,
)


def test_every_case_is_read_and_measured(tmp_path):
    found = look(write_cohort(tmp_path, 4), "LPS")
    assert [case.case_id for case in found.cases] == ["c0", "c1", "c2", "c3"]
    assert all(20 < case.given.hu < 40 and case.given.tissue for case in found.cases)
    assert all(case.spacing == (2.0, 2.0, 2.0) and not case.notes for case in found.cases)


def test_values_in_the_box_are_the_images_own(tmp_path):
    values = chest((45, 0, 0), 7, 0)
    values[67, 40, 20] = 1234  # at RAS 44, 0, 0: the nodule's centre
    values[67, 40, 28] = 3000  # 16 mm above, at the border of the box, which reaches 16 mm
    values[67, 40, 29] = 4000
    save(tmp_path / "a.nii.gz", values)
    table = tmp_path / "t.csv"
    table.write_text("case_id,patient_id,image,label,x,y,z\n1,p,a.nii.gz,b,44,0,0\n")
    assert look(table, "RAS").cases[0].box.high == 3000


def test_reading_gives_the_same_whatever_the_order_of_threads(tmp_path):
    table = write_cohort(tmp_path, 6)
    first, second = look(table, "LPS"), look(table, "LPS")
    digests = [[case.box.digest for case in found.cases] for found in (first, second)]
    assert digests[0] == digests[1] and len(set(digests[0])) == 6


def test_a_bad_row_is_listed_and_the_others_are_looked_at(tmp_path):
    table = add(
        write_cohort(tmp_path, 2),
        "lost,p8,lost.nii.gz,benign,0,0,0,5",
        "text,p9,c0.nii.gz,benign,here,0,0,5",
    )
    found = look(table, "LPS")
    assert [case.bad for case in found.cases] == [False, False, True, True]
    assert whats(found, "text") == ["point is not a number"]
    assert found.cases[0].box is not None


def test_a_damaged_image_is_one_bad_case(tmp_path):
    table = write_cohort(tmp_path, 3)
    (tmp_path / "c1.nii.gz").write_bytes(b"no image")
    found = look(table, "LPS")
    assert [case.bad for case in found.cases] == [False, True, False]


def test_voxels_that_are_not_numbers_make_a_bad_case(tmp_path):
    table = write_cohort(tmp_path, 2)
    values = chest((0, 0, 0), 7, 0)
    values[:] = np.nan
    save(tmp_path / "c0.nii.gz", values)
    assert whats(look(table, "LPS"), "c0")[0] == "NaN or infinite voxels"


def test_one_class_or_one_patient_is_noted_and_the_sheet_goes_on(tmp_path):
    save(tmp_path / "a.nii.gz", chest((45, 0, 0), 7, 0))
    table = tmp_path / "t.csv"
    rows = "\n".join(f"c{i},p,a.nii.gz,benign,{45 + 9 * i},0,0" for i in range(2))
    table.write_text(f"case_id,patient_id,image,label,x,y,z\n{rows}\n")
    found = look(table, "RAS")
    assert [note.level for note in found.notes] == ["mend", "mend"]
    assert "at least two classes" in found.notes[1].what and len(found.cases) == 2


def test_cases_of_labels_that_do_not_take_part_are_looked_at_too(tmp_path):
    table = add(write_cohort(tmp_path, 4), "u,p9,c0.nii.gz,unsure,0,0,0,5")
    found = look(table, "LPS", classes=("benign", "malignant"))
    assert found.cases[4].left_out == "label 'unsure' not listed"
    assert found.cases[4].box is not None and not found.cases[4].bad


def test_a_patch_beyond_the_border_tells_its_share(tmp_path):
    save(tmp_path / "a.nii.gz", chest((45, 0, 0), 7, 0))
    table = tmp_path / "t.csv"
    table.write_text("case_id,patient_id,image,label,x,y,z\n1,p,a.nii.gz,b,0,0,-39\n")
    found = look(table, "RAS")
    assert found.cases[0].box.padded == pytest.approx(7 / 16)
    assert "patch reaches beyond the image" in whats(found, "1")


def test_grey_values_taken_for_hu_are_noted(tmp_path):
    table = write_cohort(tmp_path, 2)
    save(tmp_path / "c0.nii.gz", (chest((45, 0, 0), 7, 0) + 1100) / 5)
    assert "no value below 0: HU?" in whats(look(table, "LPS"), "c0")


def test_a_diameter_in_centimetres_is_noted_beside_its_mask(tmp_path):
    table = write_cohort(tmp_path, 2, masks=True)
    table.write_text(table.read_text().replace(",14,m0", ",1.4,m0"))
    found = look(table, "LPS")
    assert whats(found, "c0") == ["diameter and mask differ by more than 1.5 times"]
    assert whats(found, "c1") == []


def test_a_check_that_stops_a_training_is_a_bad_case_with_its_picture(tmp_path, series, slice_of):
    folder = series([slice_of(z) for z in (0, 2, 4, 8)])
    table = tmp_path / "t.csv"
    table.write_text(f"case_id,patient_id,image,label\n1,p,{folder.name},b\n")
    shown = []
    opened = open_table(config.Data(cohort=table.name), tmp_path)
    patch = config.Patch(size=(2, 2, 2), spacing=1.0)
    found = survey(opened, patch, lambda i, cuts: shown.append(i), lambda done, total: None)
    assert whats(found, "1")[0] == "check missing_slices"
    assert found.cases[0].bad and shown == [0]


def test_a_chosen_patch_that_does_not_suit_is_at_fault_and_a_default_one_is_not(tmp_path):
    from PIL import Image

    Image.new("L", (20, 10), 7).save(tmp_path / "a.png")
    table = tmp_path / "t.csv"
    table.write_text("case_id,patient_id,image,label\n1,p,a.png,b\n")
    opened = open_table(config.Data(cohort=table.name), tmp_path)
    for chosen, bad in ((False, False), (True, True)):
        found = survey(opened, PATCH, lambda i, cuts: None, lambda done, total: None, chosen)
        assert found.cases[0].bad is bad


def test_a_table_without_its_columns_is_refused(tmp_path):
    (tmp_path / "t.csv").write_text("id,image\n1,a.png\n")
    with pytest.raises(DataError, match="expected the columns case_id, patient_id, image, label"):
        look(tmp_path / "t.csv")


def test_the_frame_of_two_points_in_one_file_is_told_by_their_pictures(tmp_path):
    table = write_cohort(tmp_path, 2)
    pictures = {}
    opened = open_table(config.Data(cohort=table.name, frame="LPS"), tmp_path)
    survey(opened, PATCH, pictures.__setitem__, lambda done, total: None)
    middle = [pictures[i].planes[0].pixels[75, 75] for i in range(2)]
    assert all(value > 220 for value in middle)  # 30 HU in the lung window


def test_cuts_hang_as_radiologists_hang_them(tmp_path):
    values = np.full((41, 41, 41), -1000.0)
    values[32:, :, :] = 150  # the patient's right: on the left of axial and coronal cuts
    values[:, 36:, :] = -300  # the front: up in axial cuts, left in sagittal ones
    save(tmp_path / "a.nii.gz", values, np.diag([2.0, 2, 2, 1]))
    table = tmp_path / "t.csv"
    table.write_text("case_id,patient_id,image,label,x,y,z\n1,p,a.nii.gz,b,40,40,40\n")
    pictures = {}
    opened = open_table(config.Data(cohort=table.name, frame="RAS"), tmp_path)
    survey(opened, PATCH, pictures.__setitem__, lambda done, total: None)
    axial, coronal, sagittal = (plane.pixels.astype(int) for plane in pictures[0].planes)
    assert axial[75, 15] > axial[75, 135] and coronal[75, 15] > coronal[75, 135]
    assert sagittal[75, 4] > sagittal[75, 135] and axial[4, 75] > axial[135, 75]


@pytest.mark.parametrize("flip", [0, 1, 2])
def test_a_copy_is_known_in_any_direction_of_its_axes(tmp_path, flip):
    table = add(write_cohort(tmp_path, 2), "copy,p9,copy.nii.gz,malignant,-200,0,0,")
    values, turn = chest((45, 0, 0), 7, 3), np.eye(4)
    turn[flip, flip], turn[flip, 3] = -1, values.shape[flip] - 1
    save(tmp_path / "c0.nii.gz", values)
    save(tmp_path / "copy.nii.gz", np.flip(values, flip), AFFINE @ turn)
    found = look(table, "LPS")
    assert related(found, "identical images of several patients") == [("c0", "copy")]
