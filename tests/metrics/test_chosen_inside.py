import numpy as np
import pandas as pd
import pytest

from capsmed.metrics import metrics_json, summarise
from capsmed.metrics.chosen_inside import operating_points, recalibrated
from capsmed.metrics.runs import Plan

CLASSES = ("benign", "malignant")
PLAN = Plan.of(CLASSES, "malignant", bootstrap=100)


@pytest.fixture
def parts(tables):
    """Test predictions, inner ones of other cases in the same folds, cohort."""
    predictions, cohort = tables(cases=300, seeds=2)
    inner = tables(cases=400, seeds=2, sharpness=1.2)[0]
    return predictions, inner, cohort


def test_a_threshold_is_the_largest_that_reaches_the_sensitivity_inside(parts):
    predictions, inner, cohort = parts
    point = operating_points(predictions, inner, cohort, PLAN)[1]
    assert point["wanted"] == 0.9
    for _, fold in inner[inner["label"] == "malignant"].groupby(["seed", "fold"]):
        score = fold["prob_malignant"]
        least, most = point["thresholds"]
        own = score.sort_values(ascending=False).iloc[int(np.ceil(0.9 * len(score))) - 1]
        assert least <= own <= most
        assert (score >= own).mean() >= 0.9 > (score > own).mean()


def test_what_is_reached_is_counted_in_the_test_parts(parts):
    predictions, inner, cohort = parts
    found = operating_points(predictions, inner, cohort, PLAN)
    shares = []
    for key, fold in predictions.groupby(["seed", "fold"]):
        inside = inner[(inner["seed"] == key[0]) & (inner["fold"] == key[1])]
        score = inside["prob_malignant"][inside["label"] == "malignant"].sort_values()
        limit = score.iloc[len(score) - int(np.ceil(0.8 * len(score) - 1e-9))]
        positive = fold[fold["label"] == "malignant"]
        shares.append((positive["prob_malignant"] >= limit).tolist())
    reached = np.mean([hit for fold in shares for hit in fold])
    assert found[0]["sensitivity"]["value"] == pytest.approx(reached, abs=0.01)
    values = [point["sensitivity"]["value"] for point in found]
    assert values == sorted(values)
    assert [p["specificity"]["value"] for p in found] == sorted(
        (p["specificity"]["value"] for p in found), reverse=True
    )


def test_test_labels_do_not_move_a_threshold(parts):
    predictions, inner, cohort = parts
    other = predictions.assign(label=predictions["label"].to_numpy()[::-1])
    before, after = (operating_points(p, inner, cohort, PLAN) for p in (predictions, other))
    assert [p["thresholds"] for p in before] == [p["thresholds"] for p in after]


@pytest.mark.parametrize("way", ["temperature", "platt"])
def test_scores_that_are_too_sure_are_corrected_by_either_way(parts, way):
    predictions, inner, cohort = parts

    def sharpened(table):
        odds = 4 * np.log(table["prob_malignant"] / table["prob_benign"])
        share = 1 / (1 + np.exp(-odds))
        return table.assign(prob_malignant=share, prob_benign=1 - share)

    sure = sharpened(predictions)
    before = summarise(sure, cohort, CLASSES, "malignant", bootstrap=100)
    after = recalibrated(sure, sharpened(inner), cohort, PLAN)[way]
    assert abs(after["calibration_slope"]["value"] - 1) < 0.3
    assert before["calibration_slope"]["value"] < 0.5
    assert after["brier"]["value"] < before["brier"]["value"]
    assert after["log_loss"]["value"] < before["log_loss"]["value"]
    assert after["calibration_error"]["value"] < before["calibration_error"]["value"]


def test_many_classes_have_a_temperature_alone(tables):
    classes = ("a", "b", "c")
    predictions, cohort = tables(cases=300, classes=classes)
    names = [f"prob_{name}" for name in classes]
    sure = predictions.copy()
    sure[names] = predictions[names] ** 5
    sure[names] = sure[names].div(sure[names].sum(axis=1), axis=0)
    found = recalibrated(sure, sure, cohort, Plan.of(classes, "", bootstrap=100))
    before = summarise(sure, cohort, classes, "", bootstrap=100)["log_loss"]["value"]
    assert list(found) == ["temperature"]
    assert found["temperature"]["log_loss"]["value"] < 0.7 * before


def test_inner_scores_that_are_all_alike_give_their_share(parts):
    predictions, inner, cohort = parts
    flat = inner.assign(prob_malignant=0.5, prob_benign=0.5)
    found = recalibrated(predictions, flat, cohort, PLAN)["platt"]
    assert found["log_loss"]["value"] < 0.75


def test_folds_without_inner_positives_have_no_points(parts):
    predictions, inner, cohort = parts
    lacking = inner[(inner["fold"] != 0) | (inner["label"] == "benign")]
    assert operating_points(predictions, lacking, cohort, PLAN) == []
    assert recalibrated(predictions, inner[inner["fold"] != 0], cohort, PLAN) == {}


def test_metrics_json_has_both_for_the_network_alone(parts):
    predictions, inner, cohort = parts
    both = pd.concat([predictions, predictions.assign(model="size_only")])
    found = metrics_json(both, cohort, CLASSES, "malignant", bootstrap=100, inner=inner)
    assert len(found["model"]["operating_points"]) == 3
    assert set(found["model"]["recalibrated"]) == {"temperature", "platt"}
    assert "operating_points" not in found["baselines"]["size_only"]
