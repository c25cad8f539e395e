import numpy as np
import pandas as pd
import pytest

from capsmed.metrics import auc, size_only

CLASSES = ("benign", "malignant")


@pytest.fixture
def cohort():
    target = np.arange(40) % 2
    size = np.exp(np.random.default_rng(0).normal(2 + 0.8 * target, 0.3))
    return pd.DataFrame(
        {
            "case_id": [f"c{i}" for i in range(40)],
            "label": np.array(CLASSES)[target],
            "status": "included",
            "diameter_mm": size,
        }
    )


@pytest.fixture
def splits(cohort):
    number = np.arange(40) // 2 % 4
    folds = [
        pd.DataFrame(
            {
                "repeat": 0,
                "fold": fold,
                "case_id": cohort["case_id"],
                "part": np.where(number == fold, "test", np.where(number == 3, "inner", "train")),
            }
        )
        for fold in range(3)
    ]
    return pd.concat(folds, ignore_index=True)


def test_it_predicts_each_test_part_and_ranks_by_diameter(cohort, splits):
    rows = size_only(cohort, splits, CLASSES)
    assert list(rows.columns[:6]) == ["model", "repeat", "seed", "fold", "case_id", "label"]
    assert set(rows["model"]) == {"size_only"} and len(rows) == 30
    fold = rows[rows["fold"] == 1].merge(cohort, on="case_id")
    order = fold.sort_values("diameter_mm")["prob_malignant"]
    assert order.is_monotonic_increasing
    positive = fold["label_x"] == "malignant"
    assert auc(positive, fold["prob_malignant"]) == auc(positive, fold["diameter_mm"])


def test_a_cases_own_label_does_not_reach_its_prediction(cohort, splits):
    before = size_only(cohort, splits, CLASSES).set_index("case_id")["prob_malignant"]
    tested = splits["case_id"][(splits["part"] == "test") & (splits["fold"] == 0)]
    swapped = cohort["case_id"].isin(tested)
    opposite = {"benign": "malignant", "malignant": "benign"}
    flipped = cohort["label"].where(~swapped, cohort["label"].map(opposite))
    after = size_only(cohort.assign(label=flipped), splits, CLASSES).set_index("case_id")
    assert after["prob_malignant"][tested].tolist() == before[tested].tolist()
    assert after["prob_malignant"].drop(tested).tolist() != before.drop(tested).tolist()


def test_cases_without_a_diameter_are_left_out(cohort, splits):
    cohort.loc[[0, 1, 2], "diameter_mm"] = [np.nan, 0.0, np.inf]
    assert not {"c0", "c1", "c2"} & set(size_only(cohort, splits, CLASSES)["case_id"])


def test_excluded_cases_take_no_part(cohort, splits):
    cohort.loc[0, "status"] = "excluded"
    assert "c0" not in set(size_only(cohort, splits, CLASSES)["case_id"])


def test_without_diameters_there_is_no_size_only_model(cohort, splits):
    assert size_only(cohort.drop(columns="diameter_mm"), splits, CLASSES).empty
    assert size_only(cohort.assign(diameter_mm=np.nan), splits, CLASSES).empty


def test_a_training_part_of_one_class_gives_no_model(cohort, splits):
    cohort.loc[cohort["label"] == "benign", "diameter_mm"] = np.nan
    assert size_only(cohort, splits, CLASSES).empty


def test_another_cohort_is_predicted_once_for_each_case(cohort, splits):
    other = cohort.assign(case_id="other-" + cohort["case_id"])
    rows = size_only(cohort, splits, CLASSES, other=other)
    assert rows["case_id"].tolist() == other["case_id"].tolist()
    assert set(rows["fold"]) == {0}


def test_three_classes_get_three_probabilities(cohort, splits):
    labels = np.array(["a", "b", "c"])[np.arange(40) % 3]
    rows = size_only(cohort.assign(label=labels), splits, ("a", "b", "c"))
    assert rows[["prob_a", "prob_b", "prob_c"]].sum(axis=1).to_numpy() == pytest.approx(1)
