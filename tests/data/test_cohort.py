import dataclasses

import numpy as np
import pandas as pd
import pytest

from capsmed import config
from capsmed.data.cohort import Cohort
from capsmed.data.fingerprint import digest
from capsmed.errors import DataError

HEAD = "case_id,patient_id,image,label"
TWO = f"{HEAD}\n01,007,a.nii.gz,benign\n02,008,b.nii.gz,malignant\n"


def test_ids_stay_text_with_their_leading_zeros(table, read):
    cohort = read(table(TWO))
    assert list(cohort.table["case_id"]) == ["01", "02"]
    assert list(cohort.table["patient_id"]) == ["007", "008"]


def test_classes_default_to_the_sorted_labels_and_the_last_is_positive(table, read):
    cohort = read(table(TWO))
    assert (cohort.classes, cohort.positive) == (("benign", "malignant"), "malignant")
    assert list(cohort.included["target"]) == [0, 1]


def test_listed_classes_give_the_order_and_other_labels_are_left_out_and_counted(table, read):
    text = TWO + "03,9,lost.nii.gz,unsure\n"
    cohort = read(table(text, classes=("malignant", "benign"), positive="malignant"))
    assert list(cohort.included["target"]) == [1, 0]
    assert list(cohort.table["excluded"]) == ["", "", "label 'unsure' not listed"]


def test_numeric_labels_are_ordered_by_value(table, read):
    rows = "".join(f"{i},{i},a.nii.gz,{label}\n" for i, label in enumerate(["10", "9", "2"]))
    assert read(table(f"{HEAD}\n{rows}")).classes == ("2", "9", "10")


def test_further_columns_are_kept_and_pixels_are_not(table, read):
    text = f"{HEAD},site\n1,1,a.nii.gz,b,north\n2,2,a.nii.gz,m,south\n"
    cohort = read(table(text))
    assert list(cohort.table["site"]) == ["north", "south"]
    assert cohort.volume(cohort.table.iloc[0]).shape == (7, 5, 3)


def test_of_labels_that_differ_only_in_case_the_rarer_are_bad_rows(table, read):
    rows = "03,9,a.nii.gz,Benign\n04,10,a.nii.gz,Benign\n"
    with pytest.raises(DataError, match=r"row 2 \(case 01\): label 'benign' differs from 'Benign'"):
        read(table(TWO + rows))
    assert read(table(TWO + rows, on_bad_case="skip")).classes == ("Benign", "malignant")


def test_a_row_whose_label_differs_only_in_case_from_a_listed_class_is_a_bad_row(table, read):
    data = table(TWO + "03,9,a.nii.gz,Benign\n", classes=("benign", "malignant"))
    with pytest.raises(DataError, match=r"row 4 \(case 03\): label 'Benign' differs from 'benign'"):
        read(data)


def test_a_listed_class_without_a_row_is_an_error_that_shows_the_labels(table, read):
    with pytest.raises(DataError, match="label 'malign'; its labels are benign, malignant"):
        read(table(TWO, classes=("benign", "malign")))


def test_one_class_is_not_enough(table, read):
    with pytest.raises(DataError, match="at least two classes, got a"):
        read(table(f"{HEAD}\n1,1,a.nii.gz,a\n2,2,a.nii.gz,a\n"))


def test_the_positive_class_must_be_one_of_them(table, read):
    with pytest.raises(DataError, match="data.positive: expected one of benign, malignant"):
        read(table(TWO, positive="cancer"))


def test_all_bad_rows_are_listed_with_row_and_file(table, read):
    text = TWO + "03,9,lost1.nii.gz,benign\n03,9,a.nii.gz,benign\n,10,a.nii.gz,\n"
    with pytest.raises(DataError, match="cohort.csv: 3 rows cannot be used") as caught:
        read(table(text))
    lines = str(caught.value).splitlines()
    assert lines[1].startswith("  row 4 (case 03): image 'lost1.nii.gz' was not found in")
    assert lines[2] == "  row 5 (case 03): case_id '03' was used before"
    assert lines[3:] == ["  row 6 (case ): label is empty", "  row 6 (case ): case_id is empty"]


def test_skipped_rows_are_listed_without_path_or_patient(table, read, tmp_path):
    text = TWO + "03,Mrs Smith,lost1.nii.gz,benign\n02,9,a.nii.gz,benign\n04,,a.nii.gz,benign\n"
    cohort = read(table(text, on_bad_case="skip"))
    assert list(cohort.table["excluded"][2:]) == [
        "image file not found",
        "duplicate case_id",
        "patient_id is empty",
    ]
    assert list(cohort.included["case_id"]) == ["01", "02"]
    assert cohort.table["case_id"].is_unique


def test_skipping_every_case_of_a_class_is_an_error(table, read):
    text = f"{HEAD}\n1,1,a.nii.gz,b\n2,2,lost.nii.gz,m\n"
    with pytest.raises(DataError, match=r"no usable case of class 'm' .*file not found \(1\)"):
        read(table(text, on_bad_case="skip"))


@pytest.mark.parametrize(("patient", "what"), [("", "empty"), ("7", "the same")])
def test_patient_ids_that_say_nothing_are_refused(table, read, patient, what):
    text = f"{HEAD}\n1,{patient},a.nii.gz,b\n2,{patient},a.nii.gz,m\n"
    with pytest.raises(DataError, match=f"all 2 patient ids are {what}; splits are by patient"):
        read(table(text))


def test_a_missing_column_is_named_with_its_nearest(table, read):
    with pytest.raises(DataError, match="missing: patient_id; is 'PatientID' meant to be"):
        read(table(TWO.replace("patient_id", "PatientID")))


def test_points_need_their_frame(table, read):
    text = f"{HEAD},x,y,z\n1,1,a.nii.gz,b,1,2,3\n2,2,a.nii.gz,m,1,2,3\n"
    with pytest.raises(DataError, match=r"data.frame: cohort.csv has points .* RAS, or LPS"):
        read(table(text))


def test_lps_points_become_ras_and_decimal_commas_are_read(table, read):
    text = f"{HEAD},x,y,z\n1,1,a.nii.gz,b,1.5,-2,3\n2,2,a.nii.gz,m,1,2,3\n".replace(",", ";")
    cohort = read(table(text.replace("1.5", "1,5"), frame="LPS"))
    assert cohort.table[["x", "y", "z"]].to_numpy().tolist() == [[-1.5, 2, 3], [-1, -2, 3]]


def test_a_point_that_is_no_number_is_a_bad_row(table, read):
    text = f"{HEAD},x,y,z\n1,1,a.nii.gz,b,?,2,3\n2,2,a.nii.gz,m,1,2,3\n"
    with pytest.raises(DataError, match=r"row 2 \(case 1\): x: expected mm, got '\?'"):
        read(table(text, frame="RAS"))


def test_empty_point_columns_mean_no_points(table, read):
    text = f"{HEAD},x,y,z\n1,1,a.nii.gz,b,,,\n2,2,a.nii.gz,m,,,\n"
    assert "x" not in read(table(text)).table


@pytest.mark.parametrize("name", ["diameter_mm", "eq_diameter_mm", "size"])
def test_diameters_come_from_their_column(table, read, name):
    text = f"{HEAD},{name}\n1,1,a.nii.gz,b,4.5\n2,2,a.nii.gz,m,\n"
    options = {"diameter": "size"} if name == "size" else {}
    assert np.array_equal(read(table(text, **options)).table["diameter_mm"], [4.5, np.nan], True)


def test_a_diameter_that_is_none_is_a_bad_row(table, read):
    text = f"{HEAD},diameter_mm\n1,1,a.nii.gz,b,-4\n2,2,a.nii.gz,m,5\n"
    with pytest.raises(
        DataError, match=r"row 2 .*diameter_mm: expected a diameter in mm, got '-4'"
    ):
        read(table(text))


def test_a_limit_keeps_every_class_in_proportion_and_counts_the_rest(cases):
    cohort = cases(count=24, limit=9)
    assert cohort.included["label"].value_counts().to_dict() == {"benign": 6, "malignant": 3}
    assert (cohort.table["excluded"] == "beyond data.limit").sum() == 15


def test_a_limit_holds_for_each_part(cases):
    cohort = cases(extra=",split", cell=lambda i: "," + ("train", "test")[i // 12], limit=6)
    assert cohort.included["split"].value_counts().to_dict() == {"train": 6, "test": 6}


def test_the_digest_follows_rows_and_file_sizes(table, read, nifti):
    data = table(TWO)
    first = read(data).digest
    assert read(data).digest == first
    nifti("b.nii.gz", np.random.default_rng(0).random((9, 9, 9)))
    assert read(data).digest != first
    assert read(table(TWO.replace("008", "009"), images=False)).digest != first


def test_image_paths_can_start_from_another_folder(table, read, tmp_path):
    data = table(TWO)
    (tmp_path / "tables").mkdir()
    (tmp_path / "cohort.csv").rename(tmp_path / "tables" / "cohort.csv")
    moved = data.model_copy(update={"cohort": "tables/cohort.csv"})
    assert len(Cohort.read(moved, tmp_path, data_root=tmp_path).included) == 2


def test_backslashes_of_windows_are_found_elsewhere(table, read, tmp_path):
    data = table(TWO.replace("b.nii", "sub\\b.nii"), images=False)
    (tmp_path / "sub").mkdir()
    for name in ("a.nii.gz", "sub/b.nii.gz"):
        (tmp_path / name).touch()
    assert len(read(data).included) == 2


@pytest.mark.parametrize(
    ("cohort", "hint"),
    [
        ("mnist", "capsmed data get mnist"),
        ("x/nodulemnist3d.npz", "zenodo.org/records/10519652; .*capsmed data get nodulemnist3d"),
        ("lidc_3d/cohort.csv", "doi.org/10.7937/K9/TCIA.2015.LO9QL9SX"),
        ("mine.csv", "check the path"),
    ],
)
def test_absent_data_end_with_what_where_and_how(read, cohort, hint):
    with pytest.raises(DataError, match=f"(?s){cohort} was not found; .*{hint}"):
        read(config.Data(cohort=cohort))


def test_excluding_cases_gives_a_new_cohort_and_leaves_the_old_one(cases):
    cohort = cases()
    smaller = cohort.exclude({"c00": "unreadable"})
    assert len(cohort.included) - len(smaller.included) == 1
    assert smaller.table["excluded"][0] == "unreadable" and cohort.table["excluded"][0] == ""


def test_a_cohort_cannot_be_changed(cases):
    with pytest.raises(dataclasses.FrozenInstanceError, match="classes"):
        cases().classes = ("a",)


def test_the_real_lidc_table_has_54_labelled_cases(real_data):
    data = config.Data(cohort="lidc_3d/cohort.csv", classes=("benign", "malignant"))
    cohort = Cohort.read(data, real_data)
    assert cohort.included["label"].value_counts().to_dict() == {"malignant": 34, "benign": 20}
    assert (cohort.table["excluded"] == "label 'indeterminate' not listed").sum() == 25
    assert cohort.table["diameter_mm"][0] == 23.92


def test_the_real_masks_give_the_diameters_of_the_real_table(real_data):
    data = config.Data(cohort="lidc_3d/cohort.csv", classes=("benign", "malignant"))
    cohort = Cohort.read(data, real_data)
    for row in cohort.included.head(3).to_dict("records"):
        assert abs(cohort.mask(row).diameter_mm() - row["diameter_mm"]) < 0.01


def test_the_points_of_the_real_nodules_are_in_their_masks_middle(real_data):
    cohort = Cohort.read(config.Data(cohort="lidc_3d/cohort.csv"), real_data)
    assert set(cohort.table["point_from"]) == {"mask"}
    assert np.abs(cohort.table[["x", "y", "z"]].to_numpy(float)).max() < 2.0


def test_pictures_of_the_real_solid_nodules_keep_their_centre(real_data):
    cohort = Cohort.read(config.Data(cohort="lidc_solid_2d/cohort.csv"), real_data)
    assert set(cohort.table["point_from"]) == {"image centre"} and "x" not in cohort.table
    assert set(cohort.table["diameter_from"]) == {"column"} and len(cohort.included) == 557


def test_a_file_of_another_series_than_the_table_says_is_refused(tmp_path, slice_of, series):
    series([slice_of(0)])
    lines = ["case_id,patient_id,image,label,series_uid"]
    lines += [f"{i},{i},series/0.dcm,{'bm'[i]},{uid}" for i, uid in enumerate(["1.2.3", "9.9.9"])]
    (tmp_path / "t.csv").write_text("\n".join(lines), encoding="utf-8")
    cohort = Cohort.read(config.Data(cohort="t.csv"), tmp_path)
    right, wrong = (row for _, row in cohort.included.iterrows())
    assert cohort.volume(right).meta["series_uid"] == "1.2.3"
    with pytest.raises(DataError, match="expected the series 9.9.9 of the table, got 1.2.3"):
        cohort.volume(wrong)


def test_the_digest_follows_slices_behind_a_link(tmp_path):
    for name in ("scan", "far"):
        (tmp_path / name).mkdir()
    (tmp_path / "far" / "slice").write_bytes(b"1")
    (tmp_path / "scan" / "link").symlink_to(tmp_path / "far")
    (tmp_path / "far" / "back").symlink_to(tmp_path / "scan")
    rows = pd.DataFrame({"image": ["scan"]})
    before = digest(rows, tmp_path)
    (tmp_path / "far" / "slice").write_bytes(b"12")
    assert digest(rows, tmp_path) != before


def test_columns_in_capital_letters_are_not_passed_over(table, read):
    text = "case_id,patient_id,image,label,X,Mask\n1,1,a.nii.gz,b,1,\n2,2,b.nii.gz,m,2,"
    with pytest.raises(DataError, match="got 'X' for 'x', 'Mask' for 'mask'; rename them"):
        read(table(text))


def test_a_frame_without_points_in_it_is_refused(table, read):
    text = f"{HEAD},coordX\n1,1,a.nii.gz,b,1\n2,2,b.nii.gz,m,2"
    with pytest.raises(DataError, match="LPS is named, but no row has x, y, z .* coordX; rename"):
        read(table(text, frame="LPS"))
