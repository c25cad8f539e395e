"""The whole loss of a capsule network: margin and reconstruction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from torch import Tensor, nn

from capsmed.losses.class_weights import Weights
from capsmed.losses.margin import MarginLoss
from capsmed.losses.reduction import REDUCTIONS, check_choice, reduce


class CapsuleLoss(nn.Module):
    """Margin loss plus the weighted **sum** of squared pixel differences of each sample.

    Sabour et al. 2017 (arXiv 1710.09829), section 4.1: 0.0005 times the sum, which at 784 pixels
    is 0.392 times the mean. The sum grows with the image: for a volume choose a smaller weight.

    Args:
        reconstruction_weight: weight of the sum of squared differences.
        weighting: ``"paper"``, or ``"released"``, where the margin loss is halved and averaged over
            classes while the reconstruction stays, and so weighs ``2 x classes`` times as much.
        reduction: ``mean`` or ``sum`` over the batch, or ``none`` for one value a sample.
        m_plus: see `MarginLoss`, as the next four.
        m_minus: length that another class is to stay below.
        down_weight: weight of the other classes.
        focal: exponent of the relative violation.
        class_weights: of the margin loss; the reconstruction of all classes weighs alike.
    """

    score_kinds = frozenset({"lengths", "multilabel"})  # of networks whose scores it can judge

    def __init__(
        self,
        reconstruction_weight: float = 0.0005,
        weighting: Literal["paper", "released"] = "paper",
        reduction: Literal["mean", "sum", "none"] = "mean",
        m_plus: float = 0.9,
        m_minus: float = 0.1,
        down_weight: float = 0.5,
        focal: float = 0.0,
        class_weights: Weights = None,
    ) -> None:
        super().__init__()
        self.reduction = check_choice("reduction", reduction, REDUCTIONS)
        self.reconstruction_weight = reconstruction_weight
        self.margin = MarginLoss(
            "none", m_plus, m_minus, down_weight, weighting, focal, class_weights
        )

    def forward(self, output: Tensor | Mapping[str, Tensor], target: Tensor) -> Tensor:
        """Loss of what `TrainingWrapper` gave.

        Args:
            output: a mapping with ``scores`` and, where there is a decoder, ``reconstruction`` and
                ``image``; or the scores alone, ``[batch, classes]``.
            target: class indices or multi-hot, see `MarginLoss`.
        """
        margin, *others = self.terms(output, target).values()
        return reduce(sum(others, margin), self.reduction)

    def terms(self, output: Tensor | Mapping[str, Tensor], target: Tensor) -> dict[str, Tensor]:
        """The weighted parts that the loss is the sum of, one value a sample ``[batch]``.

        Args:
            output: as for the loss itself.
            target: as for the loss itself.

        Returns:
            ``margin`` and, where there is a decoder, ``reconstruction``.
        """
        terms = {"margin": self.margin(output, target)}
        if not isinstance(output, Tensor) and "reconstruction" in output:
            difference = output["reconstruction"].float() - output["image"].float()
            squares = difference.square().flatten(1).sum(1)
            terms["reconstruction"] = self.reconstruction_weight * squares
        return terms
