"""MONAI's ``reduction`` convention for losses with one value a sample."""

from __future__ import annotations

from monai.utils import LossReduction
from torch import Tensor


def reduce(per_sample: Tensor, reduction: str) -> Tensor:
    """``mean`` or ``sum`` over the batch, or ``none``: ``per_sample [batch]`` as it is."""
    if reduction == LossReduction.MEAN:
        return per_sample.mean()
    return per_sample.sum() if reduction == LossReduction.SUM else per_sample


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> str:
    """``value`` as plain text, if it is one of ``choices``.

    Raises:
        ValueError: it is not.
    """
    text = str(getattr(value, "value", value))
    if text not in choices:
        raise ValueError(f"{name}: expected one of {list(choices)}, got {text!r}")
    return text


REDUCTIONS = ("mean", "sum", "none")
