import numpy as np
import pytest
import torch

from capsmed.losses import CapsuleLoss, MarginLoss
from tests.reference.loss_loops import margin_loss

TARGET = torch.tensor([0, 2, 1, 1, 2])
WEIGHTS = [0.5, 2.0, 3.0]


@pytest.mark.parametrize("loss", [MarginLoss, CapsuleLoss])
@pytest.mark.parametrize("focal", [0.0, 0.5, 1.0, 2.0])
def test_it_equals_the_loop(loss, focal):
    lengths = torch.rand(5, 3, dtype=torch.float64)
    found = loss(reduction="none", focal=focal, class_weights=WEIGHTS)(lengths, TARGET)
    expected = margin_loss(lengths.numpy(), np.eye(3)[TARGET], WEIGHTS, focal)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)


def test_a_worst_case_counts_in_full_and_a_nearly_right_one_hardly():
    worst, near = torch.tensor([[0.0, 1.0]]), torch.tensor([[0.8, 0.2]])
    plain, focal = MarginLoss(), MarginLoss(focal=2.0)
    true = torch.tensor([0])
    torch.testing.assert_close(focal(worst, true), plain(worst, true))
    assert focal(near, true) < 0.02 * plain(near, true)


@pytest.mark.parametrize("focal", [0.3, 1.0, 2.0])
def test_the_gradient_is_finite_where_nothing_is_violated(focal):
    lengths = torch.tensor([[0.9, 0.1], [1.0, 0.0]], requires_grad=True)
    MarginLoss(focal=focal)(lengths, torch.tensor([0, 0])).backward()
    assert lengths.grad.eq(0).all()


@pytest.mark.parametrize("focal", [-1.0, float("nan"), float("inf")])
def test_a_wrong_exponent_is_refused(focal):
    with pytest.raises(ValueError, match="focal: expected 0 or more, got"):
        MarginLoss(focal=focal)


@pytest.mark.parametrize("margins", [{"m_plus": 0.0}, {"m_minus": 1.0}])
def test_margins_without_room_for_it_are_refused(margins):
    with pytest.raises(ValueError, match="focal: expected m_plus above 0 and m_minus below 1"):
        MarginLoss(focal=1.0, **margins)
