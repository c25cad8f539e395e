import json

import pytest

from capsmed.metrics import auc_difference, summarise
from capsmed.metrics.compare import compare

CLASSES = ("benign", "malignant")
SHARPNESS = {"sharp": 3.0, "middling": 1.5, "dull": 0.2}


@pytest.fixture
def models(tables):
    return {name: tables(sharpness=s)[0] for name, s in SHARPNESS.items()}, tables()[1]


def test_the_first_model_is_compared_with_each_other_one(models):
    found = compare(*models, CLASSES, "malignant", bootstrap=150)
    assert [(p["first"], p["second"]) for p in found["pairs"]] == [
        ("sharp", "middling"),
        ("sharp", "dull"),
    ]
    assert found["correction"] == "Holm, 2 comparisons"
    json.dumps(found, allow_nan=False)


def test_all_pairs_are_compared_on_demand(models):
    found = compare(*models, CLASSES, "malignant", bootstrap=150, all_pairs=True)
    assert len(found["pairs"]) == 3


def test_metrics_and_differences_are_those_of_each_model_and_pair_alone(models):
    tables, cohort = models
    told = (cohort, CLASSES, "malignant", 0.95, 150)
    found = compare(tables, *told)
    alone = auc_difference(tables["sharp"], tables["dull"], *told)
    area = found["pairs"][1]["auc"]
    assert area == {key: alone[key] for key in area}
    assert found["models"]["dull"] == summarise(tables["dull"], *told)


def test_accuracy_differs_by_the_cases_that_only_one_model_gets_right(models):
    found = compare(*models, CLASSES, "malignant", bootstrap=150)
    pair = found["pairs"][1]
    surplus = pair["decisions"]["first_only"] - pair["decisions"]["second_only"]
    assert pair["accuracy"]["value"] == pytest.approx(surplus / 60)


def test_p_values_are_adjusted_for_the_number_of_pairs(models):
    pairs = compare(*models, CLASSES, "malignant", bootstrap=150)["pairs"]
    plain = sorted(pair["auc"]["delong"]["p"] for pair in pairs)
    adjusted = sorted(pair["p_adjusted"]["auc"] for pair in pairs)
    assert adjusted == pytest.approx([2 * plain[0], max(2 * plain[0], plain[1])])


def test_more_than_two_classes_have_no_delong_and_so_no_p_value_of_the_auc(tables):
    classes = ("a", "b", "c")
    models = {n: tables(classes=classes, sharpness=s)[0] for n, s in SHARPNESS.items()}
    found = compare(models, tables(classes=classes)[1], classes, "", bootstrap=150)
    pair = found["pairs"][0]
    assert pair["auc"]["delong"] is None and pair["p_adjusted"]["auc"] is None
    assert pair["decisions"]["p"] <= 1


def test_a_single_model_is_refused(tables):
    predictions, cohort = tables()
    with pytest.raises(ValueError, match=r"expected two models or more, got \['a'\]"):
        compare({"a": predictions}, cohort, CLASSES, "malignant")


def test_a_copy_differs_by_nothing_and_without_doubt(tables):
    predictions, cohort = tables()
    copies = {"one": predictions, "copy": predictions.copy()}
    pair = compare(copies, cohort, CLASSES, "malignant", bootstrap=150)["pairs"][0]
    assert [pair["auc"][key] for key in ("value", "low", "high")] == [0, 0, 0]
    assert pair["auc"]["method"] == "alike in every resample"


def test_two_perfect_models_may_still_differ(tables):
    sure = {name: tables(sharpness=s)[0] for name, s in (("one", 40.0), ("two", 50.0))}
    pair = compare(sure, tables()[1], CLASSES, "malignant", bootstrap=150)["pairs"][0]
    assert pair["auc"]["low"] < 0 < pair["auc"]["high"]
