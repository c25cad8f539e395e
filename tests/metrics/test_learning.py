"""The numbers that a diagnosis is made from, by hand."""

import numpy as np
import pytest

from capsmed.metrics.intervals import newcombe
from capsmed.metrics.learning import activation_facts, balanced_interval, part_facts, spread


def test_a_part_has_the_auc_of_its_second_class_with_an_interval_over_patients():
    target, shares = np.array([0, 0, 1, 1]), np.array([0.1, 0.6, 0.4, 0.9])
    values = np.stack([1 - shares, shares], axis=1)
    found = part_facts(target, values, np.array([0, 1, 2, 2]), "ab")
    low, high = newcombe(0.75, 1, 2)
    assert found["auc"] == pytest.approx({"value": 0.75, "low": low, "high": high})
    assert (found["cases"], found["classes"], found["accuracy"]) == (4, 2, 0.5)


def test_more_classes_have_the_mean_of_their_areas():
    target = np.array([0, 1, 2, 0, 1, 2])
    values = np.eye(3)[[0, 1, 2, 0, 1, 0]]
    found = part_facts(target, values, np.arange(6), "abc")
    assert found["auc"]["value"] == pytest.approx((0.875 + 1 + 0.75) / 3)
    assert found["auc"]["low"] < found["auc"]["value"] < found["auc"]["high"]


def test_a_part_of_one_class_has_no_auc():
    found = part_facts(np.zeros(3, int), np.full((3, 2), 0.5), np.arange(3), "ab")
    assert found["auc"] is None and found["present"] == 1


def test_a_part_tells_which_class_is_predicted_most():
    values = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])
    found = part_facts(np.array([0, 0, 1]), values, np.arange(3), ["benign", "malignant"])
    assert found["most"] == {"class": "malignant", "share": pytest.approx(2 / 3)}


def test_the_interval_of_balanced_accuracy_is_of_patients_and_holds_its_value():
    target, predicted = np.repeat([0, 1], 4), np.array([0, 0, 0, 1, 1, 1, 1, 1])
    low, high = balanced_interval(target, predicted, np.array([0, 1, 2, 3, 4, 4, 5, 5]))
    half = 1.96 * np.sqrt((4 / 6) * (2 / 6) / 4 + (3 / 4) * (1 / 4) / 2) / 2
    assert low == pytest.approx(0.875 - half, abs=1e-4) and high == 1


def test_the_interval_of_balanced_accuracy_covers_the_true_one():
    rng, target, covered = np.random.default_rng(0), np.repeat(np.arange(10), 20), 0
    for _ in range(300):
        predicted = rng.integers(0, 10, 200)
        low, high = balanced_interval(target, predicted, np.arange(200))
        covered += low <= 0.1 <= high
    assert 0.92 <= covered / 300 <= 0.995


def test_activations_are_counted_for_the_right_and_the_other_classes():
    active = np.array([[0.93, 0.02], [0.51, 1.0000001]])
    found = activation_facts(np.array([0, 1]), active, np.array([0.0, 0.12]))
    assert found["longest"] == pytest.approx(1.0)
    assert found["largest"] == pytest.approx([0.93, 1]) and found["silent"] == [0.0, 0.12]
    assert found["own"][18] == found["own"][19] == 1 and sum(found["own"]) == 2
    assert found["other"][0] == found["other"][10] == 1 and sum(found["other"]) == 2


def test_equal_outputs_have_no_spread():
    assert spread(np.full((5, 3), 1 / 3)) == 0
    assert spread(np.array([[0.0, 1.0], [1.0, 0.0]])) == 0.5
