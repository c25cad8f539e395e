"""Votes as an operator: what a routing may ask of them, and two ways to answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import nullcontext

import torch
from torch import Tensor
from torch.nn import functional as F

from capsmed.networks.layers import contraction
from capsmed.networks.layers.plain import plain

#: Sums over this many numbers are made by plain operators, whose few calls then cost less.
SMALL = 2**17


def exporting() -> bool:
    """True while the network is being compiled, exported or traced.

    A custom autograd function cannot be saved then, and a loop over chunks of the batch would
    freeze the batch size.
    """
    return torch.jit.is_tracing() or torch.compiler.is_compiling()


class Votes(ABC):
    """The votes of ``in`` lower capsules for ``out`` higher capsules of ``out_dim`` components.

    Attributes:
        poses: the lower capsules ``[batch, in, in_dim]``.
        activations: their activations ``[batch, in]``, or None where only lengths are used.
        grid: spatial shape of the lower capsules' locations; ``in`` is types x locations, the
            locations last. Empty where they have none.
        out_capsules: number of higher capsules.
    """

    poses: Tensor
    activations: Tensor | None
    grid: tuple[int, ...]
    out_capsules: int

    @abstractmethod
    def mix(self, couplings: Tensor | None) -> Tensor:
        """Sum the votes over the lower capsules: one pass of a routing.

        Args:
            couplings: ``[batch, out, in]``; None means ``1 / out`` everywhere.

        Returns:
            ``[batch, out, out_dim]``.
        """

    @abstractmethod
    def agreement(self, poses: Tensor) -> Tensor:
        """Inner product of each vote with the higher pose that it is for.

        Args:
            poses: ``[batch, out, out_dim]``.

        Returns:
            ``[batch, out, in]``.
        """

    def share(self, logits: Tensor) -> Tensor:
        """Softmax over the higher capsules that each lower capsule votes for.

        Args:
            logits: ``[batch, out, in]``.

        Returns:
            ``[batch, out, in]``.
        """
        return logits.softmax(dim=1)

    def attention(self, poses: Tensor) -> Tensor:
        """Couplings by agreement, ``share(agreement(poses))``: those of dynamic routing.

        Args:
            poses: ``[batch, out, out_dim]``.

        Returns:
            ``[batch, out, in]``.
        """
        return self.share(self.agreement(poses))

    @abstractmethod
    def dense(self) -> Tensor:
        """The votes themselves, ``[batch, in, out, out_dim]``; large."""


class LinearVotes(Votes):
    """Votes ``u(i) W(ij)``, never formed unless `dense` asks for them.

    Sums run in blocks that fit in the cache (`contraction`), and only poses, weight and couplings
    are kept for the backward pass. Under `exporting`, and for sums of less than half a megabyte,
    plain operators are used, without blocks or custom autograd.

    Args:
        poses: ``[batch, in, in_dim]``. No copy is made where it is a transposed
            ``[batch, in_dim, in]``, as `PrimaryCapsules` gives it.
        weight: ``[out, out_dim, in_dim, in]``.
        activations: ``[batch, in]`` or None.
        grid: spatial shape of the locations.

    All is computed in the weight's precision, at least float32: half-precision poses and weights
    are raised to it and their gradients come back as half precision; float64 poses are lowered to
    a float32 weight's.
    """

    def __init__(
        self,
        poses: Tensor,
        weight: Tensor,
        activations: Tensor | None = None,
        grid: tuple[int, ...] = (),
    ) -> None:
        dtype = torch.promote_types(weight.dtype, torch.float32)
        self.poses = plain(poses).to(dtype)
        self.activations = activations
        self.grid = grid
        self.out_capsules = weight.shape[0]
        self.weight = weight.to(dtype)
        self._columns = self.poses.transpose(1, 2).contiguous()
        self._exported = exporting()
        self._plain = self._exported or self.poses.numel() * self.out_capsules <= SMALL
        self._grad = torch.is_grad_enabled()
        self._dense: Tensor | None = None

    def mix(self, couplings: Tensor | None) -> Tensor:
        """See `Votes.mix`; uniform couplings take a single matrix product."""
        if couplings is None:
            summed = F.linear(self._columns.flatten(1), self.weight.flatten(0, 1).flatten(1))
            return (summed / self.out_capsules).unflatten(1, self.weight.shape[:2])
        form = contraction.mix if self._plain else contraction.mix_in_blocks
        return form(self._columns, self.weight, couplings)

    def agreement(self, poses: Tensor) -> Tensor:
        """See `Votes.agreement`."""
        form = contraction.agreement if self._plain else contraction.agreement_in_blocks
        return form(self._columns, self.weight, poses)

    def attention(self, poses: Tensor) -> Tensor:
        """See `Votes.attention`; without gradients the softmax takes the agreements' place."""
        if type(self).share is not Votes.share:
            return self.share(self.agreement(poses))
        if self._plain:
            return contraction.attention(self._columns, self.weight, poses)
        agreements = self.agreement(poses)
        if torch.is_grad_enabled():
            return self.share(agreements)
        return contraction.softmax_in_place(agreements)

    def dense(self) -> Tensor:
        """See `Votes.dense`; formed once, with a gradient where these votes have one."""
        if self._dense is None:
            with torch.enable_grad() if self._grad and not self._exported else nullcontext():
                self._dense = torch.einsum("bid,jedi->bije", self.poses, self.weight)
        return self._dense


class DenseVotes(Votes):
    """Votes that are there already.

    Args:
        votes: ``[batch, in, out, out_dim]``.
        poses: ``[batch, in, in_dim]`` or None where no routing asks for it.
        activations: ``[batch, in]`` or None.
        grid: spatial shape of the locations.
    """

    def __init__(
        self,
        votes: Tensor,
        poses: Tensor | None = None,
        activations: Tensor | None = None,
        grid: tuple[int, ...] = (),
    ) -> None:
        self._votes = votes.to(torch.promote_types(votes.dtype, torch.float32))
        self.poses = self._votes.mean(2) if poses is None else poses
        self.activations = activations
        self.grid = grid
        self.out_capsules = votes.shape[2]

    def mix(self, couplings: Tensor | None) -> Tensor:
        """See `Votes.mix`."""
        if couplings is None:
            return self._votes.sum(1) / self.out_capsules
        return torch.einsum("bji,bije->bje", couplings, self._votes)

    def agreement(self, poses: Tensor) -> Tensor:
        """See `Votes.agreement`."""
        return torch.einsum("bije,bje->bji", self._votes, poses)

    def dense(self) -> Tensor:
        """See `Votes.dense`."""
        return self._votes
