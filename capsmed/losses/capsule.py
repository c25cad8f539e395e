"""The whole loss of a capsule network: margin and reconstruction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from torch import Tensor, nn

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
        m_plus: see `MarginLoss`, as the next two.
        m_minus: length that another class is to stay below.
        down_weight: weight of the other classes.
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
    ) -> None:
        super().__init__()
        self.reduction = check_choice("reduction", reduction, REDUCTIONS)
        self.reconstruction_weight = reconstruction_weight
        self.margin = MarginLoss("none", m_plus, m_minus, down_weight, weighting)

    def forward(self, output: Tensor | Mapping[str, Tensor], target: Tensor) -> Tensor:
        """Loss of what `TrainingWrapper` gave.

        Args:
            output: a mapping with ``scores`` and, where there is a decoder, ``reconstruction`` and
                ``image``; or the scores alone, ``[batch, classes]``.
            target: class indices or multi-hot, see `MarginLoss`.
        """
        loss = self.margin(output, target)
        if not isinstance(output, Tensor) and "reconstruction" in output:
            difference = output["reconstruction"].float() - output["image"].float()
            loss = loss + self.reconstruction_weight * difference.square().flatten(1).sum(1)
        return reduce(loss, self.reduction)
