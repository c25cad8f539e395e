"""Who is held out of all folds, and when that cannot be."""

import numpy as np
import pytest

from capsmed import config
from capsmed.data.cohort import Cohort
from capsmed.data.held_out import REASON, divide, remark
from capsmed.data.splits import assign
from capsmed.errors import DataError


def split(held_out, **options):
    return config.Split.model_validate({"folds": 3, "held_out": held_out, **options})


def held_cases(cohort, *arguments, **options):
    return set(divide(cohort, split(*arguments, **options)).held_out.table["case_id"])


def by_site(i):
    return "," + ("Ulm", "Graz", "Busan")[i // 12]


def test_without_being_asked_nobody_is_held_out(cases):
    cohort = cases()
    assert divide(cohort, config.Split()) == (cohort, None)


def test_a_share_is_of_patients_and_keeps_the_classes(cases):
    cohort = cases(count=60)
    folds, held = divide(cohort, split(0.2))
    assert not set(folds.included["patient_id"]) & set(held.table["patient_id"])
    assert held.table.groupby("label")["patient_id"].nunique().to_dict() == {
        "benign": 4, "malignant": 2,
    }  # fmt: skip
    assert len(folds.included) + len(held.included) == 60
    assert remark(held) == "held out of all folds: 12 cases of 6 patients (8 benign, 4 malignant)"


def test_the_share_depends_on_the_splits_seed_alone(cases):
    cohort = cases(count=60)
    others = ({"folds": 2}, {"repeats": 3}, {"inner": 0}, {"train_cases": 20})
    drawn = held_cases(cohort, 0.2)
    assert all(held_cases(cohort, 0.2, **options) == drawn for options in others)
    assert held_cases(cohort, 0.2, seed=1) != drawn


def test_the_folds_of_the_others_know_nobody_held_out(cases):
    asked = split(0.25, repeats=2)
    folds, held = divide(cases(count=60), asked)
    splits = assign(folds, asked)
    assert not set(splits["case_id"]) & set(held.table["case_id"])
    assert set(splits["part"]) == {"train", "inner", "test"}
    assert set(folds.table["excluded"]) == {"", REASON}


def test_a_value_of_a_column_holds_out_a_site_and_its_sites_can_still_be_folds(cases):
    cohort = cases(36, ",site", by_site)
    asked = split({"column": "site", "value": "Busan"}, leave_out="site")
    folds, held = divide(cohort, asked)
    assert set(held.table["site"]) == {"Busan"} and len(held.table) == 12
    assert set(assign(folds, asked)["fold"]) == {0, 1}


def test_a_column_of_yes_and_no_marks_those_held_out(cases):
    words = ("Yes", "x", "1", "true", "no", "0", "", "FALSE")
    cohort = cases(48, ",last", lambda i: f",{words[i // 6]}")
    assert held_cases(cohort, {"column": "last"}) == {f"c{i:02d}" for i in range(24)}


def test_a_patient_on_both_sides_is_an_error_with_his_rows_and_without_his_id(cases):
    cohort = cases(36, ",site", lambda i: ",Ulm" if i == 25 else by_site(i))
    with pytest.raises(
        DataError, match=r"(?s)split.held_out: 1 patient stands .*row \d+ \(case c24\): held out"
    ) as caught:
        divide(cohort, split({"column": "site", "value": "Busan"}))
    assert "p12" not in str(caught.value)


def test_by_case_the_two_lesions_of_a_patient_may_be_parted(cases):
    cohort = cases(36, ",site", lambda i: ",Ulm" if i == 25 else by_site(i))
    asked = {"column": "site", "value": "Busan"}
    assert len(held_cases(cohort, asked, by="case")) == 11


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"column": "sit"}, r"held_out.column: expected a column of .* got 'sit'; did you mean"),
        ({"column": "site"}, r"got 'Busan', 'Graz', 'Ulm'; to hold out .* as split.held_out.value"),
        ({"column": "site", "value": "Bosan"}, r"got 'Bosan'; did you mean 'Busan'\?; they are"),
        ({"column": "patient_id", "value": "p1"}, "a column that names nobody, got 'patient_id'"),
        ({"column": "label", "value": "benign"}, "none of class 'malignant' held out, of 6 pat"),
    ],
)
def test_a_column_that_does_not_say_who_is_refused(cases, asked, message):
    with pytest.raises(DataError, match=message):
        divide(cases(36, ",site", by_site), split(asked))


def test_the_only_patient_of_a_class_cannot_stand_on_both_sides(cases):
    with pytest.raises(DataError, match="none of class 'malignant' held out, of 1 patient of it"):
        divide(cases(count=6), split(0.3))


def test_folds_that_are_impossible_afterwards_say_so(cases):
    asked = split(0.3, folds=4)
    folds, _ = divide(cases(count=24), asked)
    with pytest.raises(
        DataError, match="at most 3, the patients of class 'malignant' that are not held out"
    ):
        assign(folds, asked)


@pytest.mark.parametrize("column", ["fold", "split"])
def test_a_table_with_parts_of_its_own_is_refused(cases, column):
    cohort = cases(24, f",{column}", lambda i: ",train" if i < 12 else ",test")
    with pytest.raises(DataError, match=rf"parts of its own \(column '{column}'\); leave split"):
        divide(cohort, split(0.2))


def test_a_whole_set_with_parts_of_its_own_is_refused(tmp_path):
    parts = ("train", "val", "test")
    arrays = {f"{part}_images": np.zeros((6, 2, 2), np.uint8) for part in parts}
    arrays |= {f"{part}_labels": np.arange(6)[:, None] % 2 for part in parts}
    np.savez(tmp_path / "set.npz", **arrays)
    cohort = Cohort.read(config.Data(cohort="set.npz"), tmp_path)
    with pytest.raises(DataError, match="set.npz with parts of its own"):
        divide(cohort, split(0.2))
    assert len(held_cases(cohort, 0.2, by="case")) == 4
