"""What several cases share, and which frame their points fit."""

import time
from itertools import combinations

import numpy as np
import pytest

from capsmed.data.survey.case import Case
from capsmed.data.survey.frames import Evidence, judge, sign_test, vote
from capsmed.data.survey.relations import same_lesion
from tests.data.survey_cohorts import add, look, related, whats, write_cohort


@pytest.mark.parametrize("truth", ["LPS", "RAS"])
@pytest.mark.parametrize("named", ["LPS", "RAS"])
def test_the_right_frame_is_found_though_mirrored_points_are_inside_too(tmp_path, truth, named):
    test = look(write_cohort(tmp_path, 8, truth), named).frame
    assert all(evidence.inside for evidence in (*test.given, *test.mirrored))
    assert test.verdict == ("given" if truth == named else "mirrored")
    assert test.best == truth and max(test.for_given, test.for_mirrored) == 8


@pytest.mark.parametrize("truth", ["LPS", "RAS"])
def test_without_a_name_the_frame_that_fits_is_taken_for_the_pictures(tmp_path, truth):
    found = look(write_cohort(tmp_path, 8, truth))
    assert (found.frame.best, found.frame.frame, found.frame.named) == (truth, truth, False)
    assert all(case.given.tissue for case in found.cases)


def test_a_mask_tells_the_frame_of_a_single_case(tmp_path):
    test = look(write_cohort(tmp_path, 1, "LPS", masks=True)).frame
    assert test.best == "LPS" and test.given[0].in_mask and not test.mirrored[0].in_mask


def test_few_cases_without_masks_do_not_tell(tmp_path):
    assert look(write_cohort(tmp_path, 3, "LPS"), "LPS").frame.verdict == "unclear"


def test_one_row_in_the_other_frame_is_named(tmp_path):
    table = write_cohort(tmp_path, 8, "LPS", masks=True)
    lines = table.read_text().splitlines()
    cells = lines[3].split(",")
    cells[4:6] = [str(-float(cell)) for cell in cells[4:6]]
    table.write_text("\n".join([*lines[:3], ",".join(cells), *lines[4:]]))
    found = look(table, "LPS")
    assert found.frame.verdict == "given"
    assert "this point alone fits RAS better" in whats(found, "c2")
    assert "this point alone fits RAS better" not in whats(found, "c1")


def test_points_that_no_frame_concerns_are_not_tested(tmp_path):
    table = write_cohort(tmp_path, 2, masks=True)
    table.write_text(table.read_text().replace(",x,y,z,", ",old_x,old_y,old_z,"))
    found = look(table)
    assert found.frame.verdict == "untested" and found.cases[0].point_from == "mask"


@pytest.mark.parametrize(
    ("given", "mirrored", "expected"),
    [
        (Evidence(True, in_mask=True), Evidence(True, 0, True, True, False), (1, True)),
        (Evidence(False), Evidence(True), (-1, True)),
        (Evidence(True, -800, False, True), Evidence(True, 30, True, True), (-1, False)),
        (Evidence(True, 30, True, True), Evidence(True, 30, True, False), (1, False)),
        (Evidence(True, 30, True, True), Evidence(True, 50, True, True), (0, False)),
    ],
)
def test_the_mask_tells_before_the_border_and_tissue_before_lung(given, mirrored, expected):
    assert vote(given, mirrored) == expected


def test_the_verdict_is_a_sign_test_unless_strong_evidence_is_hardly_opposed():
    tissue, lung, out = Evidence(True, 30, True), Evidence(True, -900), Evidence(False)
    weak, strong = (tissue, lung), (tissue, out)
    assert judge([weak] * 5, "RAS", True).verdict == "unclear"
    assert judge([weak] * 6, "RAS", True).verdict == "given"
    assert judge([strong], "RAS", True).verdict == "given"
    assert judge([strong, strong[::-1]], "RAS", True).verdict == "unclear"
    assert judge([weak[::-1]] * 9 + [weak], "RAS", True).verdict == "mirrored"


def test_the_sign_test_agrees_with_scipy():
    from scipy.stats import binomtest

    for first, second in ((7, 2), (0, 11), (300, 340)):
        assert sign_test(first, second) == pytest.approx(binomtest(first, first + second).pvalue)


def test_a_copied_image_is_found_and_a_patients_own_is_only_looked_at(tmp_path):
    table = write_cohort(tmp_path, 4)
    for copy, patient in (("a", "secret-000"), ("b", "other")):
        (tmp_path / f"{copy}.nii.gz").write_bytes((tmp_path / "c0.nii.gz").read_bytes())
        add(table, f"{copy},{patient},{copy}.nii.gz,malignant,0,0,0,3")
    found = look(table, "LPS")
    assert related(found, "identical images of several patients") == [("c0", "a", "b")]
    assert found.relations[-1].level == "mend"


def test_one_nodule_under_two_labels_is_found(tmp_path):
    table = write_cohort(tmp_path, 4)
    first = table.read_text().splitlines()[1].split(",")
    x = float(first[4])
    add(table, ",".join(["twin", *first[1:3], "benign", str(x + 2), *first[5:]]))
    add(table, ",".join(["apart", *first[1:3], "benign", str(x + 12), *first[5:]]))
    found = look(table, "LPS")
    assert related(found, "one lesion under two labels") == [("c0", "twin")]


def test_the_same_row_twice_is_one_lesion_in_two_rows(tmp_path):
    table = write_cohort(tmp_path, 2)
    add(table, table.read_text().splitlines()[1].replace("c0,", "again,", 1))
    found = look(table, "LPS")
    assert related(found, "one lesion in two rows") == [("c0", "again")]
    assert related(found, "identical pixels around the point in several rows") == []


@pytest.mark.parametrize("column", ["split", "fold"])
def test_a_patient_in_two_parts_is_a_leak(tmp_path, column):
    lines = write_cohort(tmp_path, 4).read_text().replace("secret-003", "secret-000").splitlines()
    parts = [column, "train", "train", "test", "test"]
    table = tmp_path / "leak.csv"
    table.write_text("\n".join(f"{line},{part}" for line, part in zip(lines, parts, strict=True)))
    found = look(table, "LPS")
    what = f"one patient in several parts of the column '{column}'"
    assert related(found, what) == [("c0", "c3")]
    assert next(r.detail for r in found.relations if r.what == what) == f"{column} test, train"


def scattered(count: int, extent: float) -> list[Case]:
    """Cases of one image, some without a diameter."""
    rng = np.random.default_rng(3)
    sizes = np.where(rng.random(count) < 0.3, np.nan, rng.uniform(2, 40, count))
    points = rng.uniform(0, extent, (count, 3))
    return [
        Case(i, str(i), f"p{i}", "ab"[i % 2], "a.nii", diameter_mm=size, point=point)
        for i, (size, point) in enumerate(zip(sizes.tolist(), points, strict=True))
    ]


def test_pairs_of_one_place_are_those_of_all_pairs_in_the_order_of_the_table():
    cases = scattered(90, 60)
    expected = []
    for first, second in combinations(cases, 2):
        half = min(first.diameter_mm, second.diameter_mm) / 2  # NaN when the first is NaN
        known = np.isfinite([first.diameter_mm, second.diameter_mm]).all()
        if np.linalg.norm(first.point - second.point) < (max(3.0, half) if known else 3.0):
            expected.append((first.case_id, second.case_id))
    assert [relation.cases for relation in same_lesion(cases)] == expected
    assert 5 < len(expected) < 500


def test_thousands_of_points_in_one_image_take_no_time():
    cases = scattered(4000, 5000)
    began = time.process_time()
    same_lesion(cases)
    assert time.process_time() - began < 3  # all pairs: 20 s and more


def test_a_clean_cohort_has_no_relations(tmp_path):
    assert look(write_cohort(tmp_path, 6), "LPS").relations == ()


def test_the_files_own_patients_and_dates_are_compared_with_the_table(tmp_path, slice_of):
    import pydicom

    for name, patient, date in (("a", "7", "20200101"), ("b", "7", "20210101"), ("c", "9", "")):
        (tmp_path / name).mkdir()
        for z in (0, 2, 4):
            ds = slice_of(z, series=f"1.2.{ord(name)}")
            ds.PatientID, ds.StudyDate = patient, date
            ds.PixelData = bytes([ord(name), z]) * 20
            pydicom.dcmwrite(tmp_path / name / f"{z}.dcm", ds, enforce_file_format=True)
    rows = ["case_id,patient_id,image,label", "1,p1,a,x", "2,p2,b,y", "3,p1,b,x"]
    rows += ["4,p3,c,y"]
    (tmp_path / "t.csv").write_text("\n".join(rows))
    found = look(tmp_path / "t.csv")
    assert related(found, "one patient in the files, several in the table") == [("1", "2", "3")]
    assert related(found, "one patient, several study dates") == [("1", "3")]


def test_copies_are_found_in_a_stack_whose_rows_share_one_file(tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (4, 9, 7), dtype=np.uint8)
    images[3] = images[1]
    images[0] = images[2] = 0  # flat pictures are no copies
    np.save(tmp_path / "a.npy", images)
    rows = [f"c{i},,a.npy,{'xy'[i % 2]},{i}" for i in range(4)]
    (tmp_path / "t.csv").write_text("\n".join(["case_id,patient_id,image,label,index", *rows]))
    found = look(tmp_path / "t.csv")
    assert [relation.cases for relation in found.relations] == [("c1", "c3")]
