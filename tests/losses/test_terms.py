"""The parts of the capsule loss, which the diagnosis weighs against each other."""

import pytest
import torch

from capsmed.losses import CapsuleLoss


def output() -> dict[str, torch.Tensor]:
    scores = torch.tensor([[0.8, 0.3], [0.2, 0.95]])
    return {"scores": scores, "image": torch.zeros(2, 1, 3), "reconstruction": torch.ones(2, 1, 3)}


def test_the_terms_are_the_weighted_parts_of_each_case():
    terms = CapsuleLoss(reconstruction_weight=0.5).terms(output(), torch.tensor([0, 1]))
    torch.testing.assert_close(terms["margin"], torch.tensor([0.03, 0.005]))
    torch.testing.assert_close(terms["reconstruction"], torch.tensor([1.5, 1.5]))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_the_terms_add_up_to_the_loss(reduction):
    loss, target = CapsuleLoss(0.1, reduction=reduction), torch.tensor([0, 1])
    whole = sum(loss.terms(output(), target).values())
    reduced = {"mean": whole.mean(), "sum": whole.sum(), "none": whole}[reduction]
    torch.testing.assert_close(loss(output(), target), reduced)


def test_without_a_decoder_there_is_one_term():
    assert set(CapsuleLoss().terms(output()["scores"], torch.tensor([0, 1]))) == {"margin"}
