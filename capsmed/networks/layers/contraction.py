r"""Mixing votes and comparing them with poses, without ever forming a vote.

All is one sum, linear in each of four arrays,

.. math:: F(u, W, c, v) = \sum_{ij} c_{ij} \, \langle u_i W_{ij}, v_j \rangle

and its four partial derivatives: dF/dv mixes votes, dF/dc compares them with higher poses, dF/du
and dF/dW are gradients of both. A partial derivative's own gradients are the other three with one
array replaced, so one autograd function, `Partials`, serves them all and can be differentiated as
often as wanted. The votes ``u_i W_ij`` would need batch x in x out x out_dim numbers; here a
block of `blocks` at a time needs no more than fits in the cache, however many capsules there are.

Every large array has ``in`` as its last, contiguous axis: elementwise products then run over long
rows, and every matrix product reads its operands as they lie in memory.

Shapes: poses u ``[batch, in_dim, in]``, weight W ``[out, out_dim, in_dim, in]``, couplings and
agreements c ``[batch, out, in]``, mixed poses v ``[batch, out, out_dim]``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from capsmed.networks.layers.cache_size import temporary_bytes
from capsmed.networks.layers.products import product

#: Places of the four arrays among the arguments of F.
POSES, WEIGHT, COUPLINGS, MIXED = range(4)

#: Samples for which a block of the weight is read once: fewer make slow matrix products.
SAMPLES = 64
#: Blocks of this many samples and of this many numbers a higher capsule hold one higher capsule:
#: single matrix products are then faster than a batch of them.
ROWS, SINGLE = 32, 2**17


def mix(poses: Tensor, weight: Tensor, couplings: Tensor) -> Tensor:
    """``s(j) = sum over i of c(ij) u(i) W(ij)`` by plain operators -> ``[batch, out, out_dim]``."""
    weighted = couplings.transpose(0, 1).unsqueeze(2) * poses
    return torch.bmm(weighted.flatten(2), weight.flatten(2).transpose(1, 2)).transpose(0, 1)


def agreement(poses: Tensor, weight: Tensor, mixed: Tensor) -> Tensor:
    """``a(ij) = <u(i) W(ij), v(j)>`` by plain operators -> ``[batch, out, in]``."""
    return _agreement(poses, weight, mixed).transpose(0, 1)


def attention(poses: Tensor, weight: Tensor, mixed: Tensor) -> Tensor:
    """Softmax of `agreement` over the higher capsules, which lie outermost in memory."""
    return _agreement(poses, weight, mixed).softmax(0).transpose(0, 1)


def _agreement(poses: Tensor, weight: Tensor, mixed: Tensor) -> Tensor:
    """`agreement` as ``[out, batch, in]``."""
    pulled = torch.bmm(mixed.transpose(0, 1), weight.flatten(2))
    return (pulled.unflatten(2, weight.shape[2:]) * poses).sum(2)


def mix_in_blocks(poses: Tensor, weight: Tensor, couplings: Tensor) -> Tensor:
    """`mix` in blocks, differentiable as often as wanted."""
    return Partials.apply((MIXED,), poses, weight, couplings, None)[0]


def agreement_in_blocks(poses: Tensor, weight: Tensor, mixed: Tensor) -> Tensor:
    """`agreement` in blocks, differentiable as often as wanted."""
    return Partials.apply((COUPLINGS,), poses, weight, None, mixed)[0]


def softmax_in_place(logits: Tensor) -> Tensor:
    """Softmax over the higher capsules of ``[batch, out, in]``, in the logits' own memory."""
    batch, higher, lower = logits.shape
    sizes = Sizes(batch, lower, higher, 1, 1)
    # beside the block there are its softmax and, where it is no whole sample, a copy of it
    capacity = temporary_bytes(logits.device) // (4 * logits.element_size())
    width = max(1, min(lower, capacity // max(1, higher)))
    samples = max(1, capacity // max(1, higher * width))
    for block in _blocks(sizes, (max(1, higher), 1, width, samples)):
        part = logits[block.samples, :, block.lower]
        part.copy_(part.softmax(1))
    return logits


class Sizes(NamedTuple):
    """Extents of the four arrays."""

    batch: int
    lower: int
    higher: int
    in_dim: int
    out_dim: int

    def shape(self, place: int) -> tuple[int, ...]:
        """Shape of the array in a place."""
        return (
            (self.batch, self.in_dim, self.lower),
            (self.higher, self.out_dim, self.in_dim, self.lower),
            (self.batch, self.higher, self.lower),
            (self.batch, self.higher, self.out_dim),
        )[place]


class Block(NamedTuple):
    """A part of the sum: ranges of higher capsules, components, lower capsules and samples."""

    higher: slice
    in_dim: slice
    lower: slice
    samples: slice


class Partials(torch.autograd.Function):
    """Some of F's four partial derivatives, closed under differentiation.

    ``Partials.apply(wanted, poses, weight, couplings, mixed)`` gives dF by each array whose place
    is in ``wanted``, in that order. An array that none of them depends on, the one by which alone
    F is differentiated, is None. Only its arguments are kept for the backward pass. The transforms
    of ``torch.func`` are not supported.
    """

    @staticmethod
    def forward(ctx: Any, wanted: tuple[int, ...], *four: Tensor | None) -> tuple[Tensor, ...]:
        """The partial derivatives, shaped as the arrays by which they are taken."""
        ctx.wanted = wanted
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*four)
        return partials(wanted, four)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        """Gradients of the arrays, each a sum of partial derivatives with one array replaced."""
        totals: list[Tensor | None] = [None] * 4
        for place, grad in zip(ctx.wanted, grads, strict=True):
            asked = tuple(k for k in range(4) if k != place and ctx.needs_input_grad[1 + k])
            if grad is None or not asked:
                continue
            replaced = [grad if k == place else x for k, x in enumerate(ctx.saved_tensors)]
            for k, found in zip(asked, Partials.apply(asked, *replaced), strict=True):
                before = totals[k]
                totals[k] = found if before is None else before + found
        return None, *totals


def partials(wanted: tuple[int, ...], four: Sequence[Tensor | None]) -> tuple[Tensor, ...]:
    """The partial derivatives that `Partials` gives, computed block by block.

    Two arrays serve all of them: ``c u``, which mixing and the weight's gradient sum over, and
    ``W v``, which agreement and the poses' gradient sum over. Each is made once a block.
    """
    sizes = _sizes(four)
    like = next(array for array in four if array is not None)
    results = {place: like.new_zeros(sizes.shape(place)) for place in wanted}
    capacity = temporary_bytes(like.device) // like.element_size()
    held = math.prod(sizes.shape(MIXED))  # as higher poses grow in number, the block makes room
    extents = extents_of_a_block(sizes, max(capacity // 2, capacity - held))
    single = extents[0] == 1 and extents[3] >= ROWS
    memory = like.new_empty(0 if single else math.prod(extents))
    for block in _blocks(sizes, extents):
        given = [None if array is None else _part(array, k, block) for k, array in enumerate(four)]
        into = {place: _part(array, place, block) for place, array in results.items()}
        _add(into, given, memory)
    return tuple(results[place] for place in wanted)


def extents_of_a_block(sizes: Sizes, capacity: int) -> tuple[int, int, int, int]:
    """Higher capsules, components, lower capsules and samples of a block of ``capacity`` numbers.

    Rather `SAMPLES` samples of one higher capsule than few samples of all: the block of the weight
    is then read from memory once an operation and stays in the cache. What is still too large is
    cut into components of the lower pose, then into lower capsules, so that a block of the weight
    is always a matrix as it lies in memory.
    """
    rows = max(1, min(sizes.batch, SAMPLES))
    in_dim = _even(sizes.in_dim, capacity // max(1, rows * sizes.lower))
    lower = sizes.lower if in_dim > 1 else _even(sizes.lower, capacity // rows)
    rows = max(1, capacity // max(1, in_dim * lower))
    samples = _even(sizes.batch, rows)
    alone = samples >= ROWS and samples * in_dim * lower >= SINGLE
    return 1 if alone else max(1, min(sizes.higher, rows // samples)), in_dim, lower, samples


def _even(whole: int, most: int) -> int:
    """Size of the fewest parts of ``whole`` that are about equal and at most ``most``."""
    parts = -(-whole // max(1, most))
    return max(1, -(-whole // max(1, parts)))


def _add(into: dict[int, Tensor], given: list[Any], memory: Tensor) -> None:
    """Add a block's part of the sums to their places; ``memory`` holds one array of the block.

    Empty memory means a block of one higher capsule, see `_add_one`.

    A block's arrays are poses ``[samples, in_dim, in]``, weight ``[out, out_dim, in_dim, in]``,
    couplings ``[out, samples, in]`` and mixed poses ``[out, samples, out_dim]``.
    """
    u, w, c, v = given
    higher, samples = (into[MIXED] if v is None else v).shape[:2]
    in_dim, lower = (into[POSES] if u is None else u).shape[1:]
    shape = (higher, samples, in_dim, lower)
    if not memory.numel():
        return _add_one(into, given)
    array = memory[: math.prod(shape)].view(shape)
    if MIXED in into or WEIGHT in into:
        torch.mul(c.unsqueeze(2), u, out=array)
    if MIXED in into:
        into[MIXED].baddbmm_(array.flatten(2), w.flatten(2).transpose(1, 2))
    if WEIGHT in into:
        into[WEIGHT].flatten(2).baddbmm_(v.transpose(1, 2), array.flatten(2))
    if POSES in into or COUPLINGS in into:
        torch.bmm(v, w.flatten(2), out=array.flatten(2))
    if POSES in into:
        for pulled, coupling in zip(array, c, strict=True):
            into[POSES].addcmul_(pulled, coupling.unsqueeze(1))
    if COUPLINGS in into:
        _add_sum(into[COUPLINGS], array, u)


def _add_one(into: dict[int, Tensor], given: list[Any]) -> None:
    """`_add` for a block of one higher capsule, by single matrix products."""
    found = {place: array if place == POSES else array[0] for place, array in into.items()}
    u, w, c, v = given
    if MIXED in into or WEIGHT in into:
        array = (c[0].unsqueeze(1) * u).flatten(1)
    if MIXED in into:
        found[MIXED].add_(product(array, w[0].flatten(1).t()))
    if WEIGHT in into:
        found[WEIGHT].flatten(1).add_(product(v[0].t(), array))
    if POSES in into or COUPLINGS in into:
        array = None  # its memory serves the next
        size = (into[POSES] if u is None else u).shape[1:]
        array = product(v[0], w[0].flatten(1)).unflatten(1, size)
    if POSES in into:
        found[POSES].addcmul_(array, c[0].unsqueeze(1))
    if COUPLINGS in into:
        _add_sum(into[COUPLINGS], array.unsqueeze(0), u)


def _add_sum(into: Tensor, array: Tensor, poses: Tensor) -> None:
    """Add ``array poses`` summed over components to ``into``; ``array`` is spent."""
    if array.shape[2] == 1:
        into.addcmul_(array.squeeze(2), poses.squeeze(1))
    else:
        into.add_(array.mul_(poses).sum(2))


def _blocks(sizes: Sizes, extents: tuple[int, ...]) -> Iterator[Block]:
    """All blocks, samples fastest."""
    wholes = (sizes.higher, sizes.in_dim, sizes.lower, sizes.batch)
    ranges = [
        [slice(start, min(start + size, whole)) for start in range(0, whole, size)]
        for size, whole in zip(extents, wholes, strict=True)
    ]
    return (Block(*parts) for parts in itertools.product(*ranges))


def _part(array: Tensor, place: int, block: Block) -> Tensor:
    """An array's part in ``block``; higher capsules first where it has any."""
    if place == POSES:
        return array[block.samples, block.in_dim, block.lower]
    if place == WEIGHT:
        return array[block.higher, :, block.in_dim, block.lower]
    if place == COUPLINGS:
        return array[block.samples, block.higher, block.lower].transpose(0, 1)
    return array[block.samples, block.higher].transpose(0, 1)


def _sizes(four: Sequence[Tensor | None]) -> Sizes:
    """Extents, of any three or four of the arrays."""
    poses, weight, couplings, mixed = four
    if weight is not None:
        higher, out_dim, in_dim, lower = weight.shape
        batch = len(next(x for x in (poses, couplings, mixed) if x is not None))
        return Sizes(batch, lower, higher, in_dim, out_dim)
    assert poses is not None and mixed is not None
    batch, in_dim, lower = poses.shape
    return Sizes(batch, lower, mixed.shape[1], in_dim, mixed.shape[2])
