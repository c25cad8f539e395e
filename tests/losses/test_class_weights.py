import numpy as np
import pytest
import torch

from capsmed.losses import (
    LOSSES,
    CapsuleLoss,
    ClassWeights,
    MarginLoss,
    ScoresCrossEntropy,
    SpreadLoss,
    count_classes,
)
from tests.reference.loss_loops import cross_entropy, margin_loss, spread_loss

WEIGHTS = [0.5, 2.0, 3.0]
TARGET = torch.tensor([0, 2, 1, 1, 2])
every = pytest.mark.parametrize("name", sorted(LOSSES))


def scores():
    return torch.rand(5, 3, dtype=torch.float64)


def equal(found, expected):
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("weights", [WEIGHTS, None])
@pytest.mark.parametrize("loss", [MarginLoss, CapsuleLoss])
def test_margin_equals_the_loop_for_one_class_and_for_several(loss, weights):
    lengths, several = scores(), torch.tensor([[1, 1, 0], [0, 0, 0], [0, 1, 1], [1, 1, 1]])
    found = loss(reduction="none", class_weights=weights)
    numbers = np.array(weights or [1.0] * 3)
    equal(found(lengths, TARGET), margin_loss(lengths.numpy(), np.eye(3)[TARGET], numbers))
    equal(found(lengths[:4], several), margin_loss(lengths[:4].numpy(), several.numpy(), numbers))


def test_spread_equals_the_loop():
    active, loss = scores(), SpreadLoss("none", class_weights=WEIGHTS)
    equal(loss(active, TARGET), spread_loss(active.numpy(), TARGET, WEIGHTS, 0.2))


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_cross_entropy_equals_the_loop(smoothing):
    logits, loss = scores(), ScoresCrossEntropy(smoothing, "none", class_weights=WEIGHTS)
    equal(loss(logits, TARGET), cross_entropy(logits.numpy(), TARGET.numpy(), WEIGHTS, smoothing))


@every
def test_a_sample_weighs_as_its_class(name):
    plain, weighed = (LOSSES[name](reduction="none", class_weights=w) for w in (None, WEIGHTS))
    values = scores()
    expected = plain(values, TARGET) * torch.tensor(WEIGHTS)[TARGET]
    torch.testing.assert_close(weighed(values, TARGET), expected)


@every
def test_the_mean_is_over_samples_and_not_divided_by_their_weights(name):
    values = scores()
    one, each = (LOSSES[name](reduction=r, class_weights=WEIGHTS) for r in ("mean", "none"))
    torch.testing.assert_close(one(values, TARGET), each(values, TARGET).mean())


@every
def test_balanced_weights_even_out_the_classes_and_keep_the_sum(name):
    loss = LOSSES[name](class_weights="balanced")
    count_classes(loss, [1, 2, 2])
    (weights,) = [part for part in loss.modules() if isinstance(part, ClassWeights)]
    found = weights(3).numpy()
    equal(weights(3), [5 / 3, 5 / 6, 5 / 6])
    np.testing.assert_allclose(found @ [1, 2, 2], 5)


def test_balanced_weights_follow_the_loss_to_another_type_and_are_not_saved():
    loss = MarginLoss(class_weights="balanced")
    count_classes(loss, [1, 3])
    assert loss.double().class_weights(2).dtype == torch.float64
    assert loss.state_dict() == {}


def test_the_reconstruction_of_every_class_weighs_alike():
    image = torch.rand(5, 1, 4, 4, dtype=torch.float64)
    output = {"scores": scores(), "image": image, "reconstruction": image + 1}
    terms = CapsuleLoss(class_weights=WEIGHTS).terms(output, TARGET)
    torch.testing.assert_close(terms["reconstruction"], torch.full((5,), 0.0005 * 16))


@every
@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, -2.0], "class_weights: expected numbers of 0 or more, got -2.0"),
        ([1, float("nan")], "class_weights: expected numbers of 0 or more, got nan"),
        ([float("inf"), 1], "class_weights: expected numbers of 0 or more, got inf"),
        ([0, 0], "class_weights: expected one above 0 at least"),
        ([], "class_weights: expected one above 0 at least"),
        ("inverse", "class_weights: expected numbers or 'balanced', got 'inverse'"),
    ],
)
def test_wrong_weights_are_refused(name, weights, message):
    with pytest.raises(ValueError, match=message):
        LOSSES[name](class_weights=weights)


@every
def test_weights_of_another_number_of_classes_are_refused(name):
    loss = LOSSES[name](class_weights=[1, 2])
    with pytest.raises(ValueError, match="class_weights: expected 3 numbers, one a class, got 2"):
        loss(scores(), TARGET)
    with pytest.raises(ValueError, match="class_weights: expected 3 numbers, one a class, got 2"):
        count_classes(loss, [4, 4, 4])


@every
def test_balanced_weights_need_cases_of_every_class(name):
    loss = LOSSES[name](class_weights="balanced")
    with pytest.raises(ValueError, match=r"cases of every class to balance, got \[3, 0\]"):
        count_classes(loss, [3, 0])
    with pytest.raises(ValueError, match="expected the number of cases of each class"):
        loss(scores(), TARGET)
