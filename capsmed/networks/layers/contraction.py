r"""Mixing votes and comparing them with poses, without ever forming a vote.

All four functions are derivatives of one sum,

.. math:: F(u, W, c, v) = \sum_{ij} c_{ij} \, \langle u_i W_{ij}, v_j \rangle

so each is the gradient of another: `mix` is dF/dv, `agreement` dF/dc, `poses_gradient` dF/du and
`weight_gradient` dF/dW. The votes ``u_i W_ij`` would need batch x in x out x out_dim numbers;
here a chunk of samples at a time needs batch x out x in_dim x in. Every large array has ``in`` as
its last, contiguous axis: elementwise products then run over long rows, and every matrix
product reads its operands as they lie in memory.

Shapes: poses ``[batch, in_dim, in]``, weight ``[out, out_dim, in_dim, in]``, couplings and
agreements ``[batch, out, in]``, mixed poses ``[batch, out, out_dim]``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

#: Numbers in one chunk's temporary array: 6 MB in float32, 16 samples of the MNIST network.
CHUNK_NUMBERS = 1_500_000


def mix(poses: Tensor, weight: Tensor, couplings: Tensor) -> Tensor:
    """``s(j) = sum over i of c(ij) u(i) W(ij)`` by plain operators -> ``[batch, out, out_dim]``."""
    weighted = couplings.transpose(0, 1).unsqueeze(2) * poses
    return torch.bmm(weighted.flatten(2), weight.flatten(2).transpose(1, 2)).transpose(0, 1)


def agreement(poses: Tensor, weight: Tensor, mixed: Tensor) -> Tensor:
    """``a(ij) = <u(i) W(ij), v(j)>`` by plain operators -> ``[batch, out, in]``."""
    pulled = torch.bmm(mixed.transpose(0, 1), weight.flatten(2))
    return (pulled.unflatten(2, weight.shape[2:]) * poses).sum(2).transpose(0, 1)


def mix_chunked(poses: Tensor, weight: Tensor, couplings: Tensor) -> Tensor:
    """`mix` in chunks of samples."""
    mixed = poses.new_empty(len(weight), len(poses), weight.shape[1])
    columns = weight.flatten(2).transpose(1, 2)
    for part, buffer in _chunks(poses, weight):
        torch.mul(couplings[part].transpose(0, 1).unsqueeze(2), poses[part], out=buffer)
        mixed[:, part] = torch.bmm(buffer.flatten(2), columns)
    return mixed.transpose(0, 1)


def agreement_chunked(poses: Tensor, weight: Tensor, mixed: Tensor) -> Tensor:
    """`agreement` in chunks of samples."""
    result = poses.new_empty(len(poses), len(weight), poses.shape[2])
    for part, buffer in _chunks(poses, weight):
        torch.bmm(mixed[part].transpose(0, 1), weight.flatten(2), out=buffer.flatten(2))
        result[part] = buffer.mul_(poses[part]).sum(2).transpose(0, 1)
    return result


def poses_gradient(poses: Tensor, weight: Tensor, couplings: Tensor, mixed: Tensor) -> Tensor:
    """``sum over j of c(ij) W(ij) v(j)`` -> ``[batch, in_dim, in]``; ``poses`` gives the shape."""
    gradient = torch.empty_like(poses)
    for part, buffer in _chunks(poses, weight):
        torch.bmm(mixed[part].transpose(0, 1), weight.flatten(2), out=buffer.flatten(2))
        buffer.mul_(couplings[part].transpose(0, 1).unsqueeze(2))
        torch.sum(buffer, 0, out=gradient[part])
    return gradient


def weight_gradient(poses: Tensor, weight: Tensor, couplings: Tensor, mixed: Tensor) -> Tensor:
    """``sum over b of c(ij) u(i) v(j)``, shaped as ``weight``, which gives the shape only."""
    gradient = torch.zeros_like(weight)
    flat = gradient.flatten(2)
    for part, buffer in _chunks(poses, weight):
        torch.mul(couplings[part].transpose(0, 1).unsqueeze(2), poses[part], out=buffer)
        flat.baddbmm_(mixed[part].permute(1, 2, 0), buffer.flatten(2))
    return gradient


def _chunks(poses: Tensor, weight: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Slices of the batch, each with one reused array ``[out, samples, in_dim, in]``."""
    per_sample = len(weight) * poses.shape[1] * poses.shape[2]
    size = max(1, min(len(poses), CHUNK_NUMBERS // per_sample))
    memory = poses.new_empty(size * per_sample)
    for start in range(0, len(poses), size):
        part = slice(start, min(start + size, len(poses)))
        samples = part.stop - start
        yield part, memory[: samples * per_sample].view(len(weight), samples, *poses.shape[1:])


class Mix(torch.autograd.Function):
    """`mix_chunked` with a gradient; keeps poses, weight and couplings, nothing else."""

    @staticmethod
    def forward(ctx: Any, poses: Tensor, weight: Tensor, couplings: Tensor) -> Tensor:
        """Mixed poses ``[batch, out, out_dim]``."""
        ctx.save_for_backward(poses, weight, couplings)
        return mix_chunked(poses, weight, couplings)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of poses, weight and couplings, those that are asked for."""
        poses, weight, couplings = ctx.saved_tensors
        for_poses, for_weight, for_couplings = ctx.needs_input_grad
        return (
            poses_gradient(poses, weight, couplings, grad) if for_poses else None,
            weight_gradient(poses, weight, couplings, grad) if for_weight else None,
            agreement_chunked(poses, weight, grad) if for_couplings else None,
        )


class Agreement(torch.autograd.Function):
    """`agreement_chunked` with a gradient; keeps its three arguments, nothing else."""

    @staticmethod
    def forward(ctx: Any, poses: Tensor, weight: Tensor, mixed: Tensor) -> Tensor:
        """Agreements ``[batch, out, in]``."""
        ctx.save_for_backward(poses, weight, mixed)
        return agreement_chunked(poses, weight, mixed)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of poses, weight and mixed poses, those that are asked for."""
        poses, weight, mixed = ctx.saved_tensors
        for_poses, for_weight, for_mixed = ctx.needs_input_grad
        return (
            poses_gradient(poses, weight, grad, mixed) if for_poses else None,
            weight_gradient(poses, weight, grad, mixed) if for_weight else None,
            mix_chunked(poses, weight, grad) if for_mixed else None,
        )
