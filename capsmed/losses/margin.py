"""The margin loss of capsule lengths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from torch import Tensor, nn

from capsmed.losses.reduction import REDUCTIONS, check_choice, reduce
from capsmed.losses.targets import multi_hot, scores_of

WEIGHTINGS = ("paper", "released")


class MarginLoss(nn.Module):
    r"""Long capsules for the classes that are there, short ones for the others.

    .. math:: L = \sum_k T_k \max(0, m^+ - |v_k|)^2 + \lambda (1 - T_k) \max(0, |v_k| - m^-)^2

    Sabour et al. 2017 (arXiv 1710.09829), equation 4.

    Args:
        reduction: ``mean`` or ``sum`` over the batch, or ``none`` for one value a sample.
        m_plus: length that a true class is to reach.
        m_minus: length that another class is to stay below.
        down_weight: weight lambda of the other classes.
        weighting: ``"paper"`` sums over classes; ``"released"`` takes half their mean, as the
            authors' released code does.

    >>> import torch
    >>> round(MarginLoss()(torch.tensor([[0.8, 0.3]]), torch.tensor([0])).item(), 6)
    0.03
    """

    score_kinds = frozenset({"lengths", "multilabel"})  # of networks whose scores it can judge

    def __init__(
        self,
        reduction: Literal["mean", "sum", "none"] = "mean",
        m_plus: float = 0.9,
        m_minus: float = 0.1,
        down_weight: float = 0.5,
        weighting: Literal["paper", "released"] = "paper",
    ) -> None:
        super().__init__()
        self.reduction = check_choice("reduction", reduction, REDUCTIONS)
        self.weighting = check_choice("weighting", weighting, WEIGHTINGS)
        self.m_plus = m_plus
        self.m_minus = m_minus
        self.down_weight = down_weight

    def forward(self, output: Tensor | Mapping[str, Tensor], target: Tensor) -> Tensor:
        """Loss of capsule lengths.

        Args:
            output: lengths, 0 to 1, ``[batch, classes]``, or a mapping with them as ``scores``.
            target: class indices ``[batch]`` or ``[batch, 1]``, or multi-hot
                ``[batch, classes]``.

        Raises:
            ValueError: the target's shape or classes do not fit.
        """
        lengths = scores_of(output)
        true = multi_hot(target, lengths.shape[1]).to(lengths.dtype)
        present = true * (self.m_plus - lengths).clamp_min(0).square()
        absent = (1 - true) * (lengths - self.m_minus).clamp_min(0).square()
        per_class = present + self.down_weight * absent
        paper = self.weighting == "paper"
        return reduce(per_class.sum(1) if paper else per_class.mean(1) / 2, self.reduction)
