import numpy as np
import pytest

from capsmed import config
from capsmed.data.cohort import Cohort
from capsmed.data.splits import assign
from capsmed.errors import DataError


def by_fold(splits, cohort):
    """Each fold's rows, joined with the cohort's patients and labels."""
    rows = splits.merge(cohort.table[["case_id", "patient_id", "label"]], on="case_id")
    return [fold for _, fold in rows.groupby(["repeat", "fold"])]


def split(**options):
    return config.Split(**{"folds": 3, **options})


@pytest.fixture
def digits(tmp_path):
    """200 of scikit-learn's digits, whose patients nobody knows."""
    return Cohort.read(config.Data(cohort="digits", limit=200), tmp_path)


@pytest.fixture
def arrays(tmp_path):
    """Two classes, 12 training, 6 val and 6 test cases."""
    sizes = {"train": 12, "val": 6, "test": 6}
    images = {f"{part}_images": np.zeros((n, 2, 2), np.uint8) for part, n in sizes.items()}
    labels = {f"{part}_labels": np.arange(n)[:, None] % 2 for part, n in sizes.items()}
    np.savez(tmp_path / "set.npz", **images, **labels)
    return Cohort.read(config.Data(cohort="set.npz"), tmp_path)


def test_no_patient_stands_in_two_parts_of_a_fold(cases):
    cohort = cases(count=36)
    for fold in by_fold(assign(cohort, split(repeats=2)), cohort):
        assert (fold.groupby("patient_id")["part"].nunique() == 1).all()
        assert len(fold) == 36


def test_every_case_is_tested_once_a_repeat_and_every_part_has_both_classes(cases):
    cohort = cases(count=36)
    splits = assign(cohort, split(repeats=2))
    tested = splits[splits["part"] == "test"].groupby(["repeat", "case_id"]).size()
    assert len(tested) == 72 and (tested == 1).all()
    for fold in by_fold(splits, cohort):
        assert (fold.groupby("part")["label"].nunique() == 2).all()


def test_folds_are_stratified(cases):
    cohort = cases(count=36)
    for fold in by_fold(assign(cohort, split()), cohort):
        tested = fold[fold["part"] == "test"]["label"].value_counts()
        assert tested.to_dict() == {"benign": 8, "malignant": 4}


def test_the_seed_decides_and_repeats_differ(cases):
    cohort = cases(count=36)
    first, again = assign(cohort, split(repeats=2)), assign(cohort, split(repeats=2))
    other = assign(cohort, split(repeats=2, seed=1))
    assert first.equals(again) and not first.equals(other)
    parts = [group["part"].tolist() for _, group in first.groupby("repeat")]
    assert parts[0] != parts[1]


def test_the_inner_part_is_a_share_of_the_training_patients(cases):
    cohort = cases(count=60)
    for fold in by_fold(assign(cohort, split(inner=0.25)), cohort):
        patients = fold.groupby("part")["patient_id"].nunique()
        assert patients["inner"] in (5, 6) and patients["inner"] + patients["train"] == 20


def test_without_an_inner_share_there_is_no_inner_part(cases):
    assert set(assign(cases(), split(inner=0))["part"]) == {"train", "test"}


def test_a_class_with_fewer_patients_than_folds_is_an_error_that_names_the_most(cases):
    with pytest.raises(
        DataError, match="at most 4, the patients of class 'malignant', got 5; set split.folds: 4"
    ):
        assign(cases(), split(folds=5))


def test_excluded_cases_are_in_no_part(cases):
    cohort = cases(count=36).exclude({"c00": "unreadable"})
    assert "c00" not in set(assign(cohort, split())["case_id"])


def test_an_official_split_is_one_fold_whose_val_part_is_the_inner_one(arrays):
    splits = assign(arrays, config.Split())
    assert set(splits["fold"]) == {0}
    assert splits["part"].value_counts().to_dict() == {"train": 12, "inner": 6, "test": 6}


def test_without_an_inner_share_the_val_part_trains(arrays):
    parts = assign(arrays, config.Split(inner=0))["part"]
    assert parts.value_counts().to_dict() == {"train": 18, "test": 6}


def test_unknown_patients_need_their_own_split_or_leave_to_split_by_case(digits, arrays):
    with pytest.raises(DataError, match="patients are unknown.*set split.by: case"):
        assign(digits, split())
    assert set(assign(digits, split(by="case"))["fold"]) == {0, 1, 2}
    assert set(assign(arrays, split(by="case"))["fold"]) == {0, 1, 2}


def test_a_tables_own_split_is_used_and_inner_cases_are_drawn_by_patient(cases):
    cohort = cases(36, ",split", lambda i: ",Train" if i < 24 else ",test")
    splits = assign(cohort, config.Split())
    assert splits["part"].value_counts().to_dict() == {"train": 18, "test": 12, "inner": 6}
    (fold,) = by_fold(splits, cohort)
    assert (fold.groupby("patient_id")["part"].nunique() == 1).all()


def test_a_tables_own_folds_name_the_test_parts(cases):
    cohort = cases(36, ",fold", lambda i: f",{10 - i // 12}")
    splits = assign(cohort, config.Split())
    tested = splits[splits["part"] == "test"].groupby("fold")["case_id"].min()
    assert tested.to_dict() == {0: "c24", 1: "c12", 2: "c00"}  # folds 8, 9, 10


def test_one_site_after_the_other_is_left_out(cases):
    cohort = cases(36, ",site", lambda i: "," + ("ulm", "graz", "lyon")[i // 12])
    splits = assign(cohort, config.Split(leave_out="site"))
    tested = splits[splits["part"] == "test"].groupby("fold")["case_id"].min()
    assert tested.to_dict() == {0: "c12", 1: "c24", 2: "c00"}


@pytest.mark.parametrize("column", ["fold", "split", "site"])
def test_a_patient_in_several_parts_of_a_column_is_an_error_with_its_rows(cases, column):
    values = {"split": ("train", "test")}.get(column, ("1", "2"))
    cohort = cases(24, f",{column}", lambda i: f",{values[i % 2 if i < 4 else i // 12]}")
    options = {"leave_out": "site"} if column == "site" else {}
    with pytest.raises(DataError, match=rf"(?s)'{column}': 2 patients stand in .*row 2 \(case c00"):
        assign(cohort, config.Split(**options))


def test_a_site_without_both_classes_is_an_error_that_says_what_to_do(cases):
    cohort = cases(24, ",site", lambda i: ",a" if (i // 2) % 3 else ",b")
    with pytest.raises(
        DataError, match="fold 0: no case of class 'benign' in its train part; join"
    ):
        assign(cohort, config.Split(leave_out="site"))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("train", "holdout"), "expected train, val and test .*got 'holdout', 'train'"),
        (("train", "val"), "expected train, val and test .*got 'train', 'val'"),
    ],
)
def test_a_split_column_of_other_words_is_refused(cases, values, message):
    with pytest.raises(DataError, match=message):
        assign(cases(24, ",split", lambda i: f",{values[i // 12]}"), config.Split())


def test_a_fold_column_needs_two_values(cases):
    with pytest.raises(DataError, match="at least two values, got '1'"):
        assign(cases(24, ",fold", lambda i: ",1"), config.Split())


def test_a_column_that_is_not_there_is_named(cases):
    with pytest.raises(DataError, match="cohort.csv has no column 'site'"):
        assign(cases(), config.Split(leave_out="site"))


def test_given_parts_cannot_be_repeated(arrays):
    with pytest.raises(DataError, match="split.repeats: expected 1 with the given column 'split'"):
        assign(arrays, config.Split(repeats=2))


def test_a_smaller_training_part_is_drawn_by_patient_and_keeps_the_classes(cases):
    cohort = cases(count=36)
    whole, fewer = (assign(cohort, split(inner=0, train_cases=n)) for n in (None, 10))
    for before, after in zip(by_fold(whole, cohort), by_fold(fewer, cohort), strict=True):
        assert before["part"].eq("test").equals(after["part"].eq("test"))
        assert (after.groupby("patient_id")["part"].nunique() == 1).all()
        trained = after[after["part"] == "train"]
        assert 8 <= len(trained) <= 12 and trained["label"].nunique() == 2
        assert set(after["part"]) == {"train", "test", "unused"}


def test_other_seeds_draw_other_training_parts(arrays):
    drawn = [assign(arrays, config.Split(inner=0, train_cases=8, seed=k)) for k in (0, 0, 1)]
    assert drawn[0].equals(drawn[1]) and not drawn[0].equals(drawn[2])


def test_more_training_cases_than_there_are_is_refused(arrays):
    with pytest.raises(DataError, match="train_cases: expected at most 18, .* got 19; take fewer"):
        assign(arrays, config.Split(inner=0, train_cases=19))


def test_the_val_part_may_be_tested_so_that_the_test_part_stays_unused(arrays):
    parts = assign(arrays, config.Split(inner=0, tested="val")).merge(
        assign(arrays, config.Split()), on="case_id"
    )
    assert set(zip(parts["part_y"], parts["part_x"], strict=True)) == {
        ("train", "train"), ("inner", "test"), ("test", "unused"),
    }  # fmt: skip


def test_a_cohort_without_parts_has_no_val_part_to_test(cases):
    with pytest.raises(DataError, match="split.tested: expected a column 'split' .* leave"):
        assign(cases(count=36), split(tested="val"))
