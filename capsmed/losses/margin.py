"""The margin loss of capsule lengths."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from capsmed.losses.class_weights import ClassWeights, Weights, of_each_class
from capsmed.losses.reduction import REDUCTIONS, check_choice, reduce
from capsmed.losses.targets import multi_hot, scores_of

WEIGHTINGS = ("paper", "released")


class MarginLoss(nn.Module):
    r"""Long capsules for the classes that are there, short ones for the others.

    .. math:: L = \sum_k T_k \max(0, m^+ - |v_k|)^2 + \lambda (1 - T_k) \max(0, |v_k| - m^-)^2

    Sabour et al. 2017 (arXiv 1710.09829), equation 4.

    With ``focal`` each of the squared violations is multiplied by (violation / largest possible
    violation) ** ``focal``, the largest being :math:`m^+` for a true class and :math:`1 - m^-` for
    another: classes that are nearly right count less. Lin et al. 2017 (arXiv 1708.02002) do so
    with cross-entropy, where one minus the true class's probability takes the violation's place.

    With ``class_weights`` the term of a true class k weighs :math:`w_k`, the terms of the others
    the mean weight of the sample's true classes: a sample of one class weighs as its class, which
    in the mean is the same as showing it that much more often. (Weighing the terms of capsule k
    by :math:`w_k` throughout would push the capsule of a rare class down by all other cases.)

    Args:
        reduction: ``mean`` or ``sum`` over the batch, or ``none`` for one value a sample.
        m_plus: length that a true class is to reach.
        m_minus: length that another class is to stay below.
        down_weight: weight lambda of the other classes.
        weighting: ``"paper"`` sums over classes; ``"released"`` takes half their mean, as the
            authors' released code does.
        focal: exponent of the relative violation; 0: the paper's loss.
        class_weights: see `ClassWeights`.

    Raises:
        ValueError: a word is unknown, ``focal`` is negative or not finite, the margins leave no
            room for it, or a weight is wrong.

    >>> import torch
    >>> round(MarginLoss()(torch.tensor([[0.8, 0.3]]), torch.tensor([0])).item(), 6)
    0.03
    """

    score_kinds = frozenset({"lengths", "multilabel"})  # of networks whose scores it can judge
    _margin: Tensor
    _sign: Tensor
    _most: Tensor

    def __init__(
        self,
        reduction: Literal["mean", "sum", "none"] = "mean",
        m_plus: float = 0.9,
        m_minus: float = 0.1,
        down_weight: float = 0.5,
        weighting: Literal["paper", "released"] = "paper",
        focal: float = 0.0,
        class_weights: Weights = None,
    ) -> None:
        super().__init__()
        self.reduction = check_choice("reduction", reduction, REDUCTIONS)
        self.weighting = check_choice("weighting", weighting, WEIGHTINGS)
        self.m_plus = m_plus
        self.m_minus = m_minus
        self.down_weight = down_weight
        self.focal = self._check_focal(focal)
        self.class_weights = ClassWeights(class_weights)
        # a true class violates by m_plus - length, another by length - m_minus: both in one array
        ends = {"margin": (m_plus, -m_minus), "sign": (-1.0, 1.0), "most": (m_plus, 1 - m_minus)}
        for name, pair in ends.items():
            self.register_buffer(f"_{name}", torch.tensor(pair).view(2, 1, 1), persistent=False)

    def forward(self, output: Tensor | Mapping[str, Tensor], target: Tensor) -> Tensor:
        """Loss of capsule lengths.

        Args:
            output: lengths, 0 to 1, ``[batch, classes]``, or a mapping with them as ``scores``.
            target: class indices ``[batch]`` or ``[batch, 1]``, or multi-hot
                ``[batch, classes]``.

        Raises:
            ValueError: the target's shape or classes, or the number of weights, do not fit.
        """
        lengths = scores_of(output)
        classes = lengths.shape[1]
        true = multi_hot(target, classes).to(lengths.dtype)
        weights = torch.stack((true, (1 - true) * self.down_weight))
        class_weights = self.class_weights(classes)
        if class_weights is not None:
            weights = weights * of_each_class(true, class_weights)
        sign, margin = self._sign.to(lengths.device), self._margin.to(lengths.device)
        violation = (sign * lengths + margin).clamp_min(0)
        per_sample = (self._term(violation) * weights).sum((0, 2))
        return reduce(
            per_sample if self.weighting == "paper" else per_sample / (2 * classes), self.reduction
        )

    def _term(self, violation: Tensor) -> Tensor:
        if not self.focal:
            return violation.square()
        # one power: the gradient of violation ** focal alone is infinite at 0 for focal < 1
        return violation.pow(2 + self.focal) / self._most.to(violation.device) ** self.focal

    def _check_focal(self, focal: float) -> float:
        if not (math.isfinite(focal) and focal >= 0):
            raise ValueError(f"focal: expected 0 or more, got {focal}")
        if focal and not (self.m_plus > 0 and self.m_minus < 1):
            raise ValueError(
                "focal: expected m_plus above 0 and m_minus below 1 with it, "
                f"got {self.m_plus} and {self.m_minus}"
            )
        return focal
