"""What losses take: scores bare or in a mapping, targets as class indices or rows."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def scores_of(output: Tensor | Mapping[str, Tensor]) -> Tensor:
    """The scores ``[batch, classes]`` of a training wrapper's output, in at least float32."""
    scores = output if isinstance(output, Tensor) else output["scores"]
    return scores.to(torch.promote_types(scores.dtype, torch.float32))


def multi_hot(target: Tensor, classes: int) -> Tensor:
    """Float rows ``[batch, classes]`` with ones at the true classes.

    Args:
        target: class indices ``[batch]`` or ``[batch, 1]``, or rows ``[batch, classes]`` already.
        classes: number of classes.

    Raises:
        ValueError: another shape, or an index outside ``0 .. classes - 1``.

    >>> multi_hot(torch.tensor([2, 0]), 3)
    tensor([[0., 0., 1.],
            [1., 0., 0.]])
    """
    if target.ndim == 2 and target.shape[1] == classes:
        return target.float()
    if target.ndim == 2 and target.shape[1] == 1:
        target = target[:, 0]
    if target.ndim != 1:
        raise ValueError(
            f"target: expected [batch], [batch, 1] or [batch, {classes}], got {list(target.shape)}"
        )
    indices = target.long()
    on_cpu = indices.device.type == "cpu" and not torch.compiler.is_compiling()
    if on_cpu and indices.numel():  # elsewhere reading the values would hold the step up
        _check_range(indices, classes)
    rows = torch.zeros(len(indices), classes, device=indices.device)
    return rows.scatter_(1, indices.unsqueeze(1), 1.0)


def _check_range(indices: Tensor, classes: int) -> None:
    low, high = (int(value) for value in torch.aminmax(indices))
    if low < 0 or high >= classes:
        raise ValueError(f"target: expected class indices 0 to {classes - 1}, got {low} to {high}")
