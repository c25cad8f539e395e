import json
import time

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, roc_auc_score

from capsmed.metrics import auc_difference, metrics_json, summarise

CLASSES = ("benign", "malignant")


def test_the_value_is_the_mean_over_seeds_of_the_pooled_auc(tables):
    predictions, cohort = tables(seeds=3)
    found = summarise(predictions, cohort, CLASSES, "malignant", bootstrap=100)
    pooled = [
        roc_auc_score(rows["label"] == "malignant", rows["prob_malignant"])
        for _, rows in predictions.groupby("seed")
    ]
    assert found["auc"]["value"] == pytest.approx(np.mean(pooled))
    assert [e["auc"]["value"] for e in found["per_seed"]] == pytest.approx(pooled)
    assert [e["seed"] for e in found["per_seed"]] == [0, 1, 2]


def test_delong_stands_beside_the_bootstrap_and_agrees_with_it(tables):
    found = summarise(*tables(cases=200, seeds=2), CLASSES, "malignant")
    delong = found["auc_delong"]
    assert delong["method"] == "DeLong over 200 patients on the logit scale"
    assert delong["low"] == pytest.approx(found["auc"]["low"], abs=0.02)
    assert delong["high"] == pytest.approx(found["auc"]["high"], abs=0.02)
    assert delong["low"] < found["auc"]["value"] < delong["high"]


def test_patients_with_several_cases_have_the_clustered_variance(tables):
    found = summarise(*tables(cases=60, patients=30), CLASSES, "malignant", bootstrap=100)
    assert found["auc_delong"]["method"].startswith(
        "clustered DeLong (Obuchowski) over 30 patients"
    )


@pytest.mark.parametrize("why", ["three classes", "runs of other cases"])
def test_without_a_common_ranking_there_is_no_delong(tables, why):
    classes = ("a", "b", "c") if why == "three classes" else CLASSES
    predictions, cohort = tables(classes=classes, seeds=2)
    if why == "runs of other cases":
        predictions = predictions.iloc[1:]
    found = summarise(predictions, cohort, classes, classes[-1], bootstrap=100)
    assert found["auc_delong"] is None


def test_a_paired_difference_has_delongs_interval_and_p(tables):
    first, cohort = tables(cases=200, sharpness=2.0)
    second = tables(cases=200, sharpness=0.2)[0]
    found = auc_difference(first, second, cohort, CLASSES, "malignant")
    delong = found["delong"]
    assert delong["method"] == "paired DeLong over 200 patients"
    assert (delong["low"], delong["high"]) == pytest.approx((found["low"], found["high"]), abs=0.02)
    assert 0 < delong["p"] < 0.001


def test_methods_say_what_was_resampled(tables):
    found = summarise(*tables(cases=60, patients=30), CLASSES, "malignant", bootstrap=150)
    assert found["accuracy"]["method"] == "BCa bootstrap over 30 patients, 150 resamples"
    assert (found["n_cases"], found["n_patients"]) == (60, 30)


def test_without_patients_accuracy_gets_wilsons_interval_by_case(tables):
    found = summarise(*tables(cases=200, patients=0), CLASSES, "malignant", bootstrap=100)
    by_case = "by case, 200 cases; patients unknown"
    assert found["accuracy"]["method"] == f"Wilson score interval {by_case}"
    assert found["auc"]["method"] == f"BCa bootstrap {by_case}, 100 resamples"
    assert found["n_patients"] is None


def test_one_unknown_patient_makes_all_intervals_by_case(tables):
    predictions, cohort = tables()
    cohort.loc[0, "patient"] = ""
    assert summarise(predictions, cohort, CLASSES, "malignant", bootstrap=100)["n_patients"] is None


def test_repeating_every_patients_rows_does_not_narrow_the_interval(tables):
    predictions, cohort = tables()
    copies = [(t.assign(case_id=t["case_id"] + tag) for t in (predictions, cohort)) for tag in "ab"]
    twice = [pd.concat(pair) for pair in zip(*copies, strict=True)]
    settings = (CLASSES, "malignant", 0.95, 300, 1)
    once, doubled = summarise(predictions, cohort, *settings), summarise(*twice, *settings)
    assert doubled["auc"]["low"] == pytest.approx(once["auc"]["low"])
    assert doubled["accuracy"]["high"] == pytest.approx(once["accuracy"]["high"])


def test_folds_are_small_so_their_intervals_are_score_intervals(tables):
    found = summarise(*tables(), CLASSES, "malignant", bootstrap=100)
    assert len(found["per_fold"]) == 5
    assert found["per_fold"][2]["auc"]["method"] == "Newcombe score interval over 12 patients"
    assert found["per_fold"][2]["accuracy"]["method"] == "Wilson score interval over 12 patients"


def test_a_perfect_network_is_not_reported_without_doubt(tables):
    found = summarise(*tables(sharpness=40), CLASSES, "malignant", bootstrap=100)
    assert found["auc"]["value"] == 1 and 0.8 < found["auc"]["low"] < 1
    assert found["error"]["value"] == 0 and 0 < found["error"]["high"] < 0.1


def test_a_fold_of_one_class_has_a_null_auc(tables):
    predictions, cohort = tables()
    predictions["fold"] = (predictions["label"] == "malignant").astype(int)
    found = summarise(predictions, cohort, CLASSES, "malignant", bootstrap=100)
    assert found["per_fold"][0]["auc"]["value"] is None
    assert found["per_fold"][0]["sensitivity"]["method"] == "undefined: a class is absent"
    assert found["per_fold"][0]["specificity"]["value"] is not None


def test_each_fold_is_decided_by_its_own_threshold(tables):
    predictions, cohort = tables()
    predictions["threshold"] = np.where(predictions["fold"] == 0, 0.0, 0.5)
    found = summarise(predictions, cohort, CLASSES, "malignant", bootstrap=100)
    assert found["per_fold"][0]["sensitivity"]["value"] == 1
    assert found["per_fold"][0]["specificity"]["value"] == 0


def test_the_positive_class_may_be_either(tables):
    predictions, cohort = tables()
    one, other = (summarise(predictions, cohort, CLASSES, c, bootstrap=100) for c in CLASSES)
    assert one["auc"]["value"] == pytest.approx(other["auc"]["value"])
    assert one["sensitivity"]["value"] == other["specificity"]["value"]


def test_more_classes_get_the_mean_one_vs_rest_area_and_no_sensitivity(tables):
    classes = ("0", "1", "2", "3")
    predictions, cohort = tables(classes=classes)
    found = summarise(predictions, cohort, classes, "", bootstrap=100)
    scores = predictions[[f"prob_{c}" for c in classes]].to_numpy()
    expected = roc_auc_score(predictions["label"], scores, multi_class="ovr")
    assert found["auc"]["value"] == pytest.approx(expected)
    guess = scores.argmax(axis=1).astype(str)
    assert found["accuracy"]["value"] == pytest.approx(accuracy_score(predictions["label"], guess))
    assert "sensitivity" not in found


def test_two_networks_differ_by_their_mean_areas_and_not_at_all_from_themselves(tables):
    sharp, cohort = tables(seeds=3, sharpness=3)
    dull, _ = tables(seeds=2, sharpness=1)
    told = (cohort, CLASSES, "malignant")
    areas = [summarise(table, *told)["auc"]["value"] for table in (sharp, dull)]
    found = auc_difference(sharp, dull, *told)
    assert found["value"] == pytest.approx(areas[0] - areas[1])
    assert found["low"] < found["value"] < found["high"] and found["method"].startswith(
        "paired BCa"
    )
    assert auc_difference(sharp, sharp, *told)["value"] == 0


def test_a_case_that_several_folds_models_predict_enters_once_with_their_mean(tables):
    predictions, cohort = tables(folds=1)
    lower, upper = (predictions.assign(fold=k, prob_malignant=k / 2) for k in (0, 1))
    lower["prob_benign"], upper["prob_benign"] = 1.0, 0.5
    found = summarise(pd.concat([lower, upper]), cohort, CLASSES, "malignant", bootstrap=100)
    assert found["n_cases"] == 60
    assert found["sensitivity"]["value"] == 0  # the mean, 0.25, is below one half


def test_the_same_seed_gives_the_same_interval_and_another_does_not(tables):
    predictions, cohort = tables()
    first, again, other = (
        summarise(predictions, cohort, CLASSES, "malignant", bootstrap=100, seed=s)
        for s in (4, 4, 5)
    )
    assert first == again and first["auc"]["low"] != other["auc"]["low"]


def test_metrics_json_holds_the_network_and_its_baselines_and_no_nan(tables):
    predictions, cohort = tables(seeds=2)
    rival = tables(sharpness=3.0, model="size_only")[0].iloc[:50]
    content = metrics_json(
        pd.concat([predictions, rival]), cohort, CLASSES, "malignant", bootstrap=200, note="made up"
    )
    json.dumps(content, allow_nan=False)
    assert content["schema_version"] == 1 and content["note"] == "made up"
    assert content["model"]["name"] == "capsnet" and list(content["baselines"]) == ["size_only"]
    gap = content["baselines"]["size_only"]["auc_difference"]
    assert gap["n_cases"] == 50 and gap["high"] < 0
    assert gap["method"] == "paired BCa bootstrap over 50 patients, 200 resamples"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": "cat"}, r"expected labels \['benign', 'malignant'\], got \['cat'\]"),
        ({"case_id": "x"}, r"expected cases of the cohort, got 1 others, first 'x'"),
        ({"prob_benign": np.nan}, r"expected finite probabilities, .* first 'c0'"),
    ],
)
def test_wrong_predictions_are_refused(tables, change, message):
    predictions, cohort = tables()
    for column, value in change.items():
        predictions.loc[0, column] = value
    with pytest.raises(ValueError, match=message):
        summarise(predictions, cohort, CLASSES, "malignant", bootstrap=100)


def test_two_networks_in_one_table_are_refused(tables):
    predictions, cohort = tables()
    both = pd.concat([predictions, predictions.assign(model="conv_net")])
    with pytest.raises(ValueError, match=r"expected one model .*, got \['capsnet', 'conv_net'\]"):
        metrics_json(both, cohort, CLASSES, "malignant", bootstrap=100)


def test_a_positive_class_that_does_not_exist_is_refused(tables):
    with pytest.raises(ValueError, match="positive: expected one of .*, got 'cancer'"):
        summarise(*tables(), CLASSES, "cancer", bootstrap=100)


def test_ten_thousand_cases_of_seven_classes_take_seconds(tables):
    digits = tuple("0123456")
    started = time.process_time()
    summarise(*tables(10_000, digits, seeds=1, folds=1, patients=0, sharpness=4), digits, "")
    assert time.process_time() - started < 8


def test_the_mean_of_folds_stands_beside_the_pooled_auc(tables):
    predictions, cohort = tables(cases=200)
    found = summarise(predictions, cohort, CLASSES, "malignant", bootstrap=100)
    folds = [fold["auc"]["value"] for fold in found["per_fold"]]
    assert found["auc_mean_of_folds"] == {
        "value": pytest.approx(np.mean(folds)),
        "folds": 5,
        "undefined": 0,
    }


def test_a_single_test_part_has_no_mean_of_folds(tables):
    found = summarise(*tables(folds=1), CLASSES, "malignant", bootstrap=100)
    assert found["auc_mean_of_folds"] is None


def test_scores_without_a_closed_interval_have_none_on_few_patients(tables):
    found = summarise(*tables(cases=15), CLASSES, "malignant", bootstrap=100)
    assert found["brier"]["value"] > 0 and found["brier"]["low"] is None
    assert found["brier"]["method"] == "no interval: too few over 15 patients"


@pytest.mark.parametrize("patients", [17, 25])
def test_patients_with_several_cases_have_delongs_interval(tables, patients):
    found = summarise(*tables(cases=50, patients=patients), CLASSES, "malignant", bootstrap=100)
    shown, delong = found["auc"], found["auc_delong"]
    assert all(shown[key] == delong[key] for key in ("low", "high", "method"))
    assert shown["method"].startswith(f"clustered DeLong (Obuchowski) over {patients} patients")
    assert found["accuracy"]["method"].startswith("Wilson" if patients < 20 else "BCa")
