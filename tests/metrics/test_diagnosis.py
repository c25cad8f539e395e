"""What is said of the facts that a training leaves, and what is not."""

import numpy as np
import pytest

from capsmed.metrics.advice import ADVICE, OPTIONS, advice
from capsmed.metrics.diagnosis import DIAGNOSES, diagnose, percent, reconstruction_share
from capsmed.metrics.learning import part_facts


def area(value: float, low: float, high: float) -> dict:
    return {"value": value, "low": low, "high": high}


def part(auc: dict | None, skilled: float = 0.9, cases: int = 100) -> dict:
    return {"auc": auc, "balanced_accuracy": skilled, "cases": cases, "classes": 2}


def guessing(auc: dict | None, classes: int, share: float = 0.4) -> dict:
    """A training part of 500 cases that is told apart by chance."""
    chance = {"balanced_accuracy": 1 / classes, "balanced_low": 0.9 / classes}
    chance |= {"balanced_high": 1.1 / classes, "most": {"class": "7", "share": share}}
    return {"auc": auc, "cases": 500, "classes": classes, "present": classes, **chance}


def facts(**changes) -> dict:
    """A healthy training, but for ``changes``."""
    loss = {"first": 0.5, "last": 0.1, "epochs": 30, "chosen_epoch": 28}
    return {
        "train": part(area(0.98, 0.95, 0.99)),
        "held_out": part(area(0.9, 0.8, 0.95)),
        "spread": 0.2,
        "activations": {"longest": 0.9},
        "loss": {**loss, "terms": {"margin": 0.1, "reconstruction": 0.02}},
        **changes,
    }


def loss(first: float, last: float, chosen: int = 28, **terms: float) -> dict:
    return {"first": first, "last": last, "epochs": 30, "chosen_epoch": chosen, "terms": terms}


def names(found: dict | None) -> list[str]:
    return [finding.name for finding in diagnose(found)]


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"activations": {"longest": 0.01}}, "dead_capsules"),
        ({"spread": 1e-6}, "equal_outputs"),
        ({"train": part(area(0.51, 0.44, 0.58))}, "did_not_learn"),
        ({"train": part(area(0.2, 0.1, 0.3)), "loss": loss(0.5, 0.5)}, "did_not_learn"),
        ({"train": part(area(0.8, 0.7, 0.9), 0.5), "loss": loss(0.5, 0.499)}, "did_not_learn"),
        ({"train": guessing(area(0.92, 0.9, 0.94), 10), "loss": loss(2.6, 0.6)}, "did_not_learn"),
        ({"train": guessing(None, 2), "loss": loss(2.6, 0.6)}, "did_not_learn"),
        ({"train": guessing(area(0.92, 0.9, 0.94), 10, 1.0)}, "one_capsule"),
        ({"train": guessing(area(0.92, 0.9, 0.94), 10, 1.0), "activations": None}, "one_class"),
        (
            {"activations": {"longest": 0.16, "largest": [0.14, 0.16], "silent": [0.12, 0.12]}},
            "dead_capsules",
        ),
        ({"train": part(area(0.51, 0.4, 0.6)), "loss": loss(0.5, 0.1, 2)}, "chosen_too_early"),
        (
            {"train": part(area(0.8, 0.7, 0.9)), "loss": loss(9, 8, margin=0.5, reconstruction=8)},
            "reconstruction_dominates",
        ),
        ({"held_out": part(area(0.5, 0.4, 0.6))}, "only_memorised"),
    ],
)
def test_each_fault_is_named_and_no_other(changes, name):
    assert names(facts(**changes)) == [name]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"held_out": part(area(0.5, 0.2, 0.8))},  # too few cases to say
        {"held_out": part(area(0.6, 0.52, 0.68))},  # little, but more than chance
        {"train": part(area(0.7, 0.4, 0.9), cases=8)},  # eight cases, and the loss has fallen
        {"loss": loss(0.5, 0.03, margin=0.001, reconstruction=0.029)},  # learnt: pixels are left
        {"train": part(area(0.8, 0.75, 0.85)), "loss": loss(0.2, 0.6)},  # a loss that is raised
        {"activations": None, "loss": loss(0.7, 0.2)},  # no capsules
        {"train": part(None), "held_out": part(None)},
        {"train": guessing(area(0.92, 0.9, 0.94), 2) | {"balanced_low": 0.51}},  # a little skill
        {"train": guessing(None, 2) | {"balanced_accuracy": 0.7}},  # some skill, too few cases
        {"train": part(None) | {"balanced_low": 0.8, "present": 1}},  # one class: nothing to tell
        {
            "activations": {"longest": 0.06},
            "train": part(None) | {"balanced_low": 0.8, "present": 2},
        },
        {"activations": {"longest": 0.9, "largest": [0.05, 0.9], "silent": [0.0, 0.95]}},
    ],
)
def test_nothing_is_said_of_a_training_that_may_be_well(changes):
    assert names(facts(**changes)) == []


def test_a_run_without_facts_is_not_judged():
    assert diagnose(None) == diagnose({}) == []


def test_the_sentence_holds_the_figure_and_what_to_try():
    (found,) = diagnose(facts(held_out=part(area(0.5, 0.4, 0.6))))
    assert found.sentence.startswith(
        "only memorised the training part: training AUC 0.98 (0.95–0.99), but 0.50 (0.40–0.60) "
        "on 100 cases not trained on; try more augmentation (shift, flip, rotate, noise), or"
    )


def test_a_class_that_is_always_the_longest_is_named_with_its_share():
    train = guessing(area(0.92, 0.9, 0.94), 10, 0.996)
    (found,) = diagnose(facts(train=train, loss=loss(2.63, 0.647)))
    assert found.sentence.startswith(
        "did not learn, one class capsule is always the longest: class '7', in 99.6% of the cases; "
        "balanced accuracy 0.10 (0.09–0.11) on 500 training cases, chance is 0.10, and the "
        "training loss went from 2.63 to 0.647; try an optimizer.lr ten times larger or smaller, or"
    )


def test_options_that_a_network_lacks_are_not_advised():
    found = facts(train=part(area(0.5, 0.4, 0.6)), options=["network.norm"])
    (finding,) = diagnose(found)
    assert "network.norm: BATCH" in finding.advice
    assert not any("init_scale" in text for text in finding.advice)


def test_there_is_advice_for_every_diagnosis_even_without_any_option():
    assert set(DIAGNOSES) <= set(ADVICE)
    assert all(advice(name, OPTIONS) for name in ADVICE)
    assert {"network.init_scale", "loss.reconstruction_weight"} <= OPTIONS


def test_the_share_of_the_reconstruction_is_of_all_terms():
    assert reconstruction_share(facts(loss=loss(1, 1, margin=1.0, reconstruction=3.0))) == 0.75
    assert reconstruction_share(facts(loss=loss(1, 1))) is None


def test_a_share_is_whole_only_when_it_is():
    assert [percent(share) for share in (1.0, 0.9999, 0.9951)] == [
        "100.0%", "more than 99.9%", "99.5%",
    ]  # fmt: skip


def test_one_class_is_told_of_a_training_part_that_is_ranked_well():
    """Probabilities between 0.45 and 0.50 that rank: an AUC of 0.9 or so, and one answer."""
    target = np.arange(200) % 2
    chance = 0.46 + 0.02 * target + np.random.default_rng(0).normal(0, 0.01, 200).clip(-0.01, 0.01)
    shares = np.stack([1 - chance, chance], axis=1)
    train = part_facts(target, shares, np.arange(200), ("benign", "malignant"))
    assert train["auc"]["value"] > 0.9
    assert names(facts(train=train)) == ["one_capsule"]
    assert names(facts(train=train, activations=None)) == ["one_class"]


def test_a_learning_rate_or_class_weight_of_zero_is_named_instead_of_advice():
    bad = facts(train=part(area(0.51, 0.44, 0.58)), learning_rate=0.0)
    (found,) = diagnose(bad)
    assert len(found.advice) == 1 and "the learning rate is 0" in found.advice[0]
    (found,) = diagnose({**bad, "learning_rate": 0.1, "unweighed": ["benign"]})
    assert found.advice == (
        "loss.class_weights above 0 for 'benign': cases of weight 0 teach nothing",
    )
