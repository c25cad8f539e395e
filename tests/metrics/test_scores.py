import numpy as np
import pytest
from sklearn import metrics as sk

from capsmed.metrics import (
    accuracy,
    auc,
    balanced_accuracy,
    decide,
    macro_auc,
    sensitivity,
    specificity,
)
from capsmed.metrics.scores import placements


def test_auc_of_three_cases_by_hand():
    assert auc(np.array([True, True, False]), np.array([0.9, 0.4, 0.4])) == 0.75


def test_auc_agrees_with_scikit_learn_when_scores_are_tied():
    rng = np.random.default_rng(0)
    positive, score = rng.random(101) < 0.3, rng.integers(0, 13, 101)
    assert auc(positive, score) == pytest.approx(sk.roc_auc_score(positive, score), abs=1e-12)


def test_auc_of_one_class_is_undefined():
    assert np.isnan(auc(np.ones(4, bool), np.arange(4)))


def test_placements_average_to_the_auc_in_both_classes():
    rng = np.random.default_rng(1)
    positive, score = rng.random(53) < 0.5, rng.integers(0, 11, 53)
    share = placements(positive, score)
    assert share[positive].mean() == pytest.approx(share[~positive].mean(), abs=1e-12)


def test_macro_auc_agrees_with_scikit_learn():
    rng = np.random.default_rng(2)
    target, scores = rng.integers(0, 3, 97), rng.dirichlet(np.ones(3), 97)
    expected = sk.roc_auc_score(target, scores, multi_class="ovr", average="macro")
    assert macro_auc(target, scores) == pytest.approx(expected, abs=1e-12)


def test_macro_auc_leaves_out_a_class_without_cases():
    target, scores = np.array([0, 0, 1, 1]), np.array([[3, 1, 0], [2, 1, 0], [1, 2, 0], [0, 3, 0]])
    assert macro_auc(target, scores) == 1.0


def test_two_classes_are_decided_by_the_positive_ones_threshold():
    scores = np.array([[0.6, 0.4], [0.5, 0.5], [0.2, 0.8]])
    assert decide(scores, positive=1).tolist() == [0, 1, 1]
    assert decide(scores, positive=1, threshold=0.4).tolist() == [1, 1, 1]
    assert decide(scores, positive=0, threshold=0.55).tolist() == [0, 1, 1]


def test_a_case_without_its_own_threshold_gets_one_half():
    scores = np.array([[0.4, 0.6], [0.4, 0.6]])
    assert decide(scores, 1, np.array([0.7, np.nan])).tolist() == [0, 1]


def test_more_classes_are_decided_by_the_largest_probability():
    assert decide(np.array([[0.2, 0.5, 0.3]]), positive=2, threshold=0.1).tolist() == [1]


def test_shares_agree_with_scikit_learn():
    rng = np.random.default_rng(4)
    target, guess = rng.integers(0, 2, 89), rng.integers(0, 2, 89)
    assert accuracy(target, guess) == pytest.approx(sk.accuracy_score(target, guess))
    assert balanced_accuracy(target, guess) == pytest.approx(
        sk.balanced_accuracy_score(target, guess)
    )
    assert sensitivity(target, guess, 1) == pytest.approx(sk.recall_score(target, guess))
    assert specificity(target, guess, 1) == pytest.approx(
        sk.recall_score(target, guess, pos_label=0)
    )
