import zlib

import numpy as np
import pandas as pd
import pytest

from capsmed.metrics import auc
from capsmed.metrics.tabular import tabular

CLASSES = ("benign", "malignant")


@pytest.fixture
def tables():
    """Features, cohort and splits: 60 patients with two cases each, one feature that tells."""
    rng = np.random.default_rng(0)
    target = np.arange(120) % 2
    case, patient = [f"c{i}" for i in range(120)], np.array([f"p{i // 2}" for i in range(120)])
    label = np.array(CLASSES)[target]
    features = pd.DataFrame({"case_id": case, "tells": rng.normal(1.5 * target)})
    features = features.assign(**{f"noise {k}": rng.normal(size=120) for k in range(12)})
    cohort = pd.DataFrame(
        {"case_id": case, "label": label, "patient": patient, "status": "included"}
    )
    parts = [
        pd.DataFrame(
            {
                "repeat": 0, "fold": fold, "case_id": case,
                "part": np.where(np.arange(120) // 2 % 3 == fold, "test", "train"),
            }
        )
        for fold in range(3)
    ]  # fmt: skip
    return features, cohort, pd.concat(parts, ignore_index=True)


def area(rows):
    return auc((rows["label"] == "malignant").to_numpy(), rows["prob_malignant"].to_numpy())


def test_every_case_is_predicted_once_by_a_model_that_has_not_seen_it(tables):
    rows = tabular("mine", *tables, CLASSES)
    assert sorted(rows["case_id"]) == sorted(tables[0]["case_id"])
    assert set(rows["model"]) == {"mine"} and area(rows) > 0.75
    assert np.allclose(rows["prob_benign"] + rows["prob_malignant"], 1)


def test_a_test_cases_label_and_features_do_not_reach_the_others(tables):
    features, cohort, splits = tables
    before = tabular("mine", features, cohort, splits, CLASSES).set_index("case_id")
    first = splits["case_id"][(splits["fold"] == 0) & (splits["part"] == "test")]
    changed = features.copy()
    changed.loc[changed["case_id"].isin(first), "tells"] += 100
    after = tabular("mine", changed, cohort, splits, CLASSES).set_index("case_id")
    rest = first.iloc[1:]
    only = changed["case_id"] == first.iloc[0]
    alone = features.copy()
    alone.loc[only] = changed.loc[only]
    single = tabular("mine", alone, cohort, splits, CLASSES).set_index("case_id")
    assert single.loc[rest, "prob_malignant"].equals(before.loc[rest, "prob_malignant"])
    assert not after.loc[rest, "prob_malignant"].equals(before.loc[rest, "prob_malignant"])


def test_among_much_noise_a_penalty_is_chosen_that_helps(tables):
    chosen = area(tabular("mine", *tables, CLASSES))
    free = area(tabular("mine", *tables, CLASSES, penalties=(1e-6,)))
    assert chosen >= free


def test_missing_values_take_the_training_parts_median(tables):
    features, cohort, splits = tables
    only = features[["case_id", "tells", "noise 0"]].copy()
    only.loc[[0, 7], "tells"] = np.nan
    rows = tabular("mine", only, cohort, splits, CLASSES, penalties=(1.0,))
    assert len(rows) == 120 and np.isfinite(rows["prob_malignant"]).all()
    folds = splits[splits["part"] == "test"].set_index("case_id")["fold"]
    train = only[only["case_id"].map(folds) != folds["c0"]]
    filled = only.copy()
    filled.loc[0, "tells"] = train["tells"].median()
    again = tabular("mine", filled, cohort, splits, CLASSES, penalties=(1.0,))
    both = [t.set_index("case_id").loc["c0", "prob_malignant"] for t in (rows, again)]
    assert both[0] == pytest.approx(both[1], abs=1e-6)


def test_a_case_without_any_feature_is_not_predicted(tables):
    features, cohort, splits = tables
    features.loc[3, features.columns[1:]] = np.nan
    assert "c3" not in set(tabular("mine", features, cohort, splits, CLASSES)["case_id"])


def test_a_single_score_keeps_its_order_within_a_fold(tables):
    features, cohort, splits = tables
    one = features[["case_id", "tells"]]
    rows = tabular("mine", one, cohort, splits, CLASSES, penalties=(1e-6,)).merge(one, on="case_id")
    for _, fold in rows.groupby("fold"):
        assert fold.sort_values("tells")["prob_malignant"].is_monotonic_increasing


def test_other_cases_are_predicted_by_one_model_of_all_that_were_trained_on(tables):
    features, cohort, splits = tables
    others = (features.iloc[:5], cohort.iloc[:5])
    rows = tabular("mine", features, cohort, splits, CLASSES, others)
    assert rows["case_id"].tolist() == [f"c{i}" for i in range(5)]
    assert set(rows["fold"]) == {0}


def test_a_training_part_of_one_class_gives_no_model(tables):
    features, cohort, splits = tables
    cohort["label"] = "benign"
    assert len(tabular("mine", features, cohort, splits, CLASSES)) == 0


def test_what_a_fold_leaves_unused_is_not_learnt_from(tables):
    features, cohort, splits = tables
    half = splits["part"].eq("train") & (np.arange(len(splits)) % 8 < 4)
    unused = splits.assign(part=splits["part"].where(~half, "unused"))
    without = splits[~half]
    told = (CLASSES, None, 0, (1.0,))
    rows, same = (tabular("mine", features, cohort, s, *told) for s in (unused, without))
    assert rows.equals(same)


def test_other_pseudonyms_change_nothing(tables):
    features, cohort, splits = tables
    before = tabular("mine", features, cohort, splits, CLASSES)
    for salt in range(5):
        names = [f"P{zlib.crc32(f'{salt}{p}'.encode()):08x}" for p in cohort["patient"]]
        assert tabular("mine", features, cohort.assign(patient=names), splits, CLASSES).equals(
            before
        )
