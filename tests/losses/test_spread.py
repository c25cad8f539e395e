import pytest
import torch

from capsmed.losses import LOSSES, SpreadLoss

ACTIVE = torch.tensor([[0.7, 0.4, 0.05], [0.95, 0.2, 0.1]])
TARGET = torch.tensor([0, 1])


def test_other_classes_within_the_margin_cost_the_square_of_what_is_missing():
    loss = SpreadLoss("none")
    loss.set_progress(0.5)  # margin 0.55
    by_hand = torch.tensor([(0.55 - 0.3) ** 2, (0.55 + 0.75) ** 2 + (0.55 - 0.1) ** 2])
    torch.testing.assert_close(loss(ACTIVE, TARGET), by_hand)


@pytest.mark.parametrize(("progress", "margin"), [(0.0, 0.2), (0.5, 0.55), (1.0, 0.9)])
def test_the_margin_grows_linearly_with_progress(progress, margin):
    loss = SpreadLoss()
    loss.set_progress(progress)
    assert loss.margin == pytest.approx(margin)


def test_in_evaluation_mode_the_margin_is_the_last_one():
    loss = SpreadLoss(start=0.1, end=0.6)
    assert (loss.margin, loss.eval().margin) == (0.1, 0.6)


def test_a_true_class_far_ahead_costs_nothing():
    assert SpreadLoss().eval()(torch.tensor([[0.95, 0.0, 0.04]]), torch.tensor([0])) == 0


def test_several_true_classes_are_each_set_against_the_false_ones():
    loss = SpreadLoss(start=0.5, end=0.5)(
        torch.tensor([[0.9, 0.7, 0.6]]), torch.eye(3)[:2].sum(0)[None]
    )
    torch.testing.assert_close(loss, torch.tensor(0.2**2 + 0.4**2))


def test_it_judges_lengths_and_no_logits():
    assert LOSSES["spread"].score_kinds == {"lengths"}


@pytest.mark.parametrize("margins", [(0.0, 0.9), (0.9, 0.2), (0.2, 1.1)])
def test_margins_out_of_order_are_refused(margins):
    with pytest.raises(ValueError, match="start, end: expected 0 < start <= end <= 1, got"):
        SpreadLoss("mean", *margins)


@pytest.mark.parametrize("progress", [-0.1, 1.1, float("nan")])
def test_progress_out_of_range_is_refused(progress):
    with pytest.raises(ValueError, match="progress: expected 0 to 1, got"):
        SpreadLoss().set_progress(progress)
