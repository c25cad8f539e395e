"""Squash: short vectors shrink towards zero, long ones towards length one."""

from __future__ import annotations

import torch
from monai.networks.layers.factories import Act
from torch import Tensor, nn

from capsmed.networks.registry import add_class


def squash(vectors: Tensor, dim: int = -1, eps: float = 1e-8) -> Tensor:
    r"""Scale each vector to a length below one, keeping its direction.

    .. math:: v = \frac{|s|^2}{1 + |s|^2} \frac{s}{|s|}
        = s \, \frac{\sqrt{|s|^2 + \epsilon}}{1 + |s|^2}

    Sabour, Frosst & Hinton 2017 (arXiv 1710.09829), equation 1. The second form, with its small
    ``eps``, never divides by a length, so value and gradient are finite at a zero vector.

    Args:
        vectors: any shape.
        dim: the axis that holds the vectors' components.
        eps: added to the squared length under the root.

    Returns:
        A tensor of the same shape.

    >>> import torch
    >>> squash(torch.tensor([3.0, 4.0])).norm().item()  # 25 / 26
    0.961538...
    """
    squared = (vectors * vectors).sum(dim, keepdim=True)
    return vectors * ((squared + eps).sqrt() / (1 + squared))


def squash_with_lengths(vectors: Tensor, eps: float = 1e-8) -> tuple[Tensor, Tensor]:
    r"""`squash` along the last axis, and the lengths of its results.

    .. math:: |v| = \frac{|s|^2}{1 + |s|^2}

    Taken from the sum of squares that squash needs anyway. Where a loss asks for lengths alone, as
    the margin loss does, the gradient then goes neither through the vectors nor through a root.

    Args:
        vectors: ``[..., dim]``.
        eps: see `squash`; the lengths are those for 0.

    Returns:
        Vectors of the same shape, and their lengths ``[...]``.

    >>> import torch
    >>> squash_with_lengths(torch.tensor([3.0, 4.0]))[1].item()  # 25 / 26
    0.961538...
    """
    squared = (vectors * vectors).sum(-1, keepdim=True)
    shares = 1 + squared
    return vectors * ((squared + eps).sqrt() / shares), (squared / shares).squeeze(-1)


def exponential_squash(vectors: Tensor, dim: int = -1, eps: float = 1e-8) -> Tensor:
    r"""Scale each vector to a length below one, more steeply near zero than `squash`.

    .. math:: v = (1 - e^{-|s|}) \frac{s}{|s|}

    Mazzia, Salvetti & Chiaberge 2021 (Efficient-CapsNet, arXiv 2101.12491). Short vectors keep
    their length, where `squash` squares it. With :math:`\sqrt{|s|^2 + \epsilon}` for the length,
    value and gradient are finite at a zero vector.

    Args:
        vectors: any shape.
        dim: the axis that holds the vectors' components.
        eps: added to the squared length under the root.

    Returns:
        A tensor of the same shape.

    >>> import torch
    >>> exponential_squash(torch.tensor([3.0, 4.0])).norm().item()  # 1 - exp(-5)
    0.993262...
    """
    length = ((vectors * vectors).sum(dim, keepdim=True) + eps).sqrt()
    return vectors * (-torch.expm1(-length) / length)


def lengths(poses: Tensor) -> Tensor:
    """Lengths ``[...]`` of ``poses [..., dim]``; the gradient at a zero pose is zero."""
    return torch.linalg.vector_norm(poses, dim=-1)


class Squash(nn.Module):
    """`squash` as a layer, registered in MONAI's ``Act`` as ``SQUASH``.

    Args:
        dim: the axis that holds the vectors' components.
        eps: added to the squared length under the root.
    """

    def __init__(self, dim: int = -1, eps: float = 1e-8) -> None:
        super().__init__()
        self.dim = dim
        self.eps = eps

    def forward(self, vectors: Tensor) -> Tensor:
        """Squash ``vectors`` (any shape) along ``dim``."""
        return squash(vectors, self.dim, self.eps)

    def extra_repr(self) -> str:
        """The settings, for ``print(network)``."""
        return f"dim={self.dim}, eps={self.eps}"


add_class(Act, "SQUASH", Squash)
