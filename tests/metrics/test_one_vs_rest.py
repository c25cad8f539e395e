"""Each class against the rest, macro and micro: against scikit-learn, resample by resample."""

import json

import numpy as np
import pytest
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
)
from sklearn.preprocessing import label_binarize

from capsmed.metrics import metrics_json, summarise
from capsmed.metrics.estimate import resample
from capsmed.metrics.measures import all_estimates
from capsmed.metrics.one_vs_rest import MACRO, OF_A_CLASS
from tests.metrics.test_more_scores import make_sample

CLASSES = ("a", "b", "c", "d")
K = 2  # the class that is looked at


def of_class(score, **options):
    return lambda s, w: score(s.target == K, s.predicted == K, sample_weight=w, **options)


def ranked(score):
    return lambda s, w: score(s.target == K, s.probabilities[:, K], sample_weight=w)


def called(score, **options):
    return lambda s, w: score(s.target, s.predicted, average="macro", sample_weight=w, **options)


def binarized(score, average):
    return lambda s, w: score(
        label_binarize(s.target, classes=range(4)),
        s.probabilities,
        average=average,
        sample_weight=w,
    )


REFERENCES = {
    "class 2.auc": ranked(roc_auc_score),
    "class 2.average_precision": ranked(average_precision_score),
    "class 2.sensitivity": of_class(recall_score),
    "class 2.specificity": of_class(recall_score, pos_label=0),
    "class 2.ppv": of_class(precision_score),
    "class 2.npv": of_class(precision_score, pos_label=0),
    "class 2.f1": of_class(f1_score),
    "macro.auc": lambda s, w: roc_auc_score(
        s.target, s.probabilities, multi_class="ovr", average="macro", sample_weight=w
    ),
    "macro.average_precision": binarized(average_precision_score, "macro"),
    "macro.sensitivity": called(recall_score),
    "macro.ppv": called(precision_score, zero_division=np.nan),
    "macro.f1": called(f1_score),
    "micro.auc": binarized(roc_auc_score, "micro"),
    "micro.average_precision": binarized(average_precision_score, "micro"),
}


def test_every_metric_of_a_class_and_every_mean_has_a_reference():
    found = all_estimates(make_sample(4), 1, np.ones((60, 1), np.float32), 0.95)
    told = {name for name in found if name.startswith(("class 2.", "macro.", "micro."))}
    assert told == REFERENCES.keys()
    assert {f"class 2.{n}" for n in OF_A_CLASS} | {f"macro.{n}" for n in MACRO} <= told


@pytest.mark.parametrize("name", REFERENCES)
def test_value_and_every_resample_are_those_of_scikit_learn(name):
    sample, reference = make_sample(4), REFERENCES[name]
    weights = resample(60, 25, np.random.default_rng(1))
    found = all_estimates(sample, 1, weights, 0.95)[name]
    assert found.value == pytest.approx(reference(sample, np.ones(90)), abs=1e-9)
    expected = [reference(sample, column[sample.unit]) for column in weights.T]
    assert found.replicates == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("name", REFERENCES)
def test_influence_is_the_derivative_by_a_units_weight(name):
    sample, ones, step = make_sample(4), np.ones((60, 1), np.float32), 2.0**-6
    units = np.array([0, 7, 31])
    moved = np.repeat(ones, 6, axis=1)
    moved[units, [0, 1, 2]] += step
    moved[units, [3, 4, 5]] -= step
    up, down = np.split(all_estimates(sample, 1, moved, 0.95)[name].replicates, 2)
    influence = all_estimates(sample, 1, ones, 0.95)[name].influence[units]
    assert influence == pytest.approx((up - down) / (2 * step), abs=2e-4)


def test_of_one_decision_a_case_the_micro_f1_is_the_accuracy():
    sample = make_sample(4)
    found = all_estimates(sample, 1, np.ones((60, 1), np.float32), 0.95)
    micro = f1_score(sample.target, sample.predicted, average="micro")
    assert found["accuracy"].value == pytest.approx(micro)


def test_metrics_json_has_each_class_with_intervals_for_more_than_two(tables):
    predictions, cohort = tables(200, CLASSES, seeds=2)
    content = metrics_json(predictions, cohort, CLASSES, "a", bootstrap=100)
    json.dumps(content, allow_nan=False)
    found = content["model"]
    assert list(found["one_vs_rest"]) == list(CLASSES)
    assert sum(entry["n_cases"] for entry in found["one_vs_rest"].values()) == 200
    entry = found["one_vs_rest"]["c"]
    assert set(entry) == {"n_cases", *OF_A_CLASS}
    assert all(entry[n]["low"] < entry[n]["value"] < entry[n]["high"] for n in OF_A_CLASS)
    assert entry["auc"]["method"] == "BCa bootstrap over 200 patients, 100 resamples"
    same = {"auc": "auc", "f1": "f1", "sensitivity": "balanced_accuracy"}
    assert all(found["macro"][ours]["low"] == found[whole]["low"] for ours, whole in same.items())
    assert "one_vs_rest" not in found["per_seed"][0] and "." not in "".join(found["per_seed"][0])


def test_two_classes_have_no_such_entries(tables):
    found = summarise(*tables(), ("benign", "malignant"), "malignant", bootstrap=100)
    assert not {"one_vs_rest", "macro", "micro"} & found.keys()


def test_a_class_without_cases_is_undefined_and_left_out_of_the_means(tables):
    predictions, cohort = tables(60, CLASSES[:3])
    predictions["prob_d"] = 0.0
    found = summarise(predictions, cohort, CLASSES, "a", bootstrap=100)
    entry = found["one_vs_rest"]["d"]
    assert entry["n_cases"] == 0
    assert all(
        entry[n] == {"value": None, "low": None, "high": None, "method": "undefined: no case of it"}
        for n in OF_A_CLASS
    )
    known = [found["one_vs_rest"][name]["auc"]["value"] for name in CLASSES[:3]]
    assert found["macro"]["auc"]["value"] == pytest.approx(np.mean(known))


def test_a_class_that_is_never_called_has_no_predictive_value(tables):
    predictions, cohort = tables(60, CLASSES)
    predictions["prob_d"] = 0.0
    found = summarise(predictions, cohort, CLASSES, "a", bootstrap=100)
    assert found["one_vs_rest"]["d"]["ppv"]["value"] is None
    assert found["one_vs_rest"]["d"]["f1"]["value"] == 0
    known = [found["one_vs_rest"][name]["ppv"]["value"] for name in CLASSES[:3]]
    assert found["macro"]["ppv"]["value"] == pytest.approx(np.mean(known))


def test_a_fold_names_the_classes_that_it_lacks(tables):
    predictions, cohort = tables(60, CLASSES)
    predictions["fold"] = (predictions["label"] == "d").astype(int)
    found = summarise(predictions, cohort, CLASSES, "a", bootstrap=100)
    assert [fold["absent"] for fold in found["per_fold"]] == [["d"], ["a", "b", "c"]]
    assert found["per_fold"][1]["auc"]["value"] is None
    assert "absent" not in found["per_seed"][0]


def test_a_class_of_patients_with_several_cases_has_the_clustered_variance(tables):
    predictions, cohort = tables(90, CLASSES, seeds=2, patients=45)
    found = summarise(predictions, cohort, CLASSES, "a", bootstrap=100)["one_vs_rest"]["c"]["auc"]
    other = predictions.assign(
        label=np.where(predictions["label"] == "c", "c", "rest"),
        prob_rest=1 - predictions["prob_c"],
    )
    two = summarise(other, cohort, ("rest", "c"), "c", bootstrap=100)["auc"]
    assert found == {key: pytest.approx(value) for key, value in two.items()}
    assert found["method"].startswith("clustered DeLong (Obuchowski) over 45 patients")
