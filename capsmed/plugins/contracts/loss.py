"""What every loss keeps, for each kind of scores that it can judge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from capsmed.losses import LOSSES
from capsmed.networks.scores import SCORE_KINDS

CLASSES = 3
TARGET = torch.tensor([0, 2, 1, 1])


@dataclass(frozen=True)
class Case:
    """A registered loss with its defaults, judging scores of one kind."""

    name: str
    kind: str

    def loss(self) -> nn.Module:
        """The loss with its defaults."""
        return LOSSES[self.name]()

    def scores(self, confidence: float = 0.0) -> Tensor:
        """Scores ``[batch, classes]``, right for TARGET by ``confidence`` of -1 to 1."""
        right = torch.nn.functional.one_hot(TARGET, CLASSES).float()
        noise = torch.rand(right.shape, generator=torch.Generator().manual_seed(7))
        if self.kind == "logits":
            return noise + 8 * confidence * (right - 1 / CLASSES)
        return (0.5 + 0.05 * noise + 0.4 * confidence * (2 * right - 1)).clamp(0, 1)

    def output(self, scores: Tensor) -> dict[str, Tensor]:
        """What `TrainingWrapper` gives of a network with these scores and a decoder."""
        image = torch.linspace(0, 1, 4 * 9).view(4, 1, 3, 3)
        return {"scores": scores, "image": image, "reconstruction": image.flip(0)}


def cases(name: str) -> list[Case]:
    """The loss with each kind of scores; with all where it does not declare ``score_kinds``."""
    kinds = getattr(LOSSES[name](), "score_kinds", SCORE_KINDS)
    return [Case(name, kind) for kind in SCORE_KINDS if kind in kinds]


def judges_known_kinds_of_scores(case: Case) -> None:
    """Its score_kinds, where declared, are logits, lengths or multilabel."""
    kinds = getattr(case.loss(), "score_kinds", SCORE_KINDS)
    assert set(kinds) <= set(SCORE_KINDS), f"expected some of {SCORE_KINDS}, got {sorted(kinds)}"


def gives_one_finite_number(case: Case) -> None:
    """It gives one finite number of what the training wrapper gives, and of class indices."""
    for target in (TARGET, TARGET.unsqueeze(1)):
        value = case.loss()(case.output(case.scores()), target)
        assert isinstance(value, Tensor), f"expected a tensor, got {type(value).__name__}"
        assert value.shape == (), f"expected one number, got shape {list(value.shape)}"
        assert value.isfinite(), f"expected a finite number, got {value.item()}"


def does_without_a_reconstruction(case: Case) -> None:
    """It does without a reconstruction, as networks without a decoder have none."""
    value = case.loss()({"scores": case.scores(), "image": torch.rand(4, 1, 3, 3)}, TARGET)
    assert value.isfinite(), f"expected a finite number, got {value.item()}"


def is_smaller_when_the_scores_are_right(case: Case) -> None:
    """It is smaller for right scores than for undecided and for wrong ones."""
    values = [case.loss()(case.output(case.scores(c)), TARGET).item() for c in (1.0, 0.0, -1.0)]
    assert values[0] < values[1] < values[2], f"right, undecided, wrong: got {values}"


def stays_finite_at_the_ends(case: Case) -> None:
    """Value and gradient are finite where scores are as sure as they can be."""
    for confidence in (-100.0, 100.0):
        scores = case.scores(confidence).requires_grad_()
        value = case.loss()(case.output(scores), TARGET)
        value.backward()
        assert value.isfinite(), f"expected a finite number, got {value.item()}"
        assert scores.grad is not None and scores.grad.isfinite().all(), (
            "the gradient is not finite"
        )


def raises_the_right_score(case: Case) -> None:
    """Its gradient raises the score of the right class when that is low."""
    scores = case.scores(-0.8).requires_grad_()
    case.loss()(case.output(scores), TARGET).backward()
    assert scores.grad is not None, "no gradient reaches the scores"
    right = scores.grad.gather(1, TARGET.unsqueeze(1))
    assert (right < 0).all(), "the gradient does not raise the right score"


def leaves_the_scores_as_they_are(case: Case) -> None:
    """It does not change the scores that it is given."""
    scores = case.scores()
    case.loss()(case.output(scores), TARGET)
    assert torch.equal(scores, case.scores()), "the scores were written to"


CHECKS: Sequence[Callable[[Case], None]] = (
    judges_known_kinds_of_scores,
    gives_one_finite_number,
    does_without_a_reconstruction,
    is_smaller_when_the_scores_are_right,
    stays_finite_at_the_ends,
    raises_the_right_score,
    leaves_the_scores_as_they_are,
)
