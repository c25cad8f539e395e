"""Watching, replacing and shortening the routings of a network, which is left as it was."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from capsmed.networks.layers.squash import lengths
from capsmed.networks.layers.votes import DenseVotes, Votes
from capsmed.networks.routing.base import BaseRouting, IterativeRouting


@dataclass(frozen=True)
class Call:
    """One call of a routing: what went in and what came out.

    Attributes:
        name: the routing's place in the network, such as ``classes.routing``.
        routing: the module.
        votes: what it was given.
        poses: higher capsules ``[batch, out, out_dim]``.
        activations: of the higher capsules, ``[batch, out]``.
    """

    name: str
    routing: BaseRouting
    votes: Votes
    poses: Tensor
    activations: Tensor

    def settled(self) -> tuple[Tensor, Tensor]:
        """Couplings ``[batch, out, in]``, uniform ones written out, and poses of one more call."""
        found = self.routing.couplings(self.votes)
        poses, _ = self.routing.settle(self.votes, found)
        return (uniform(self.votes) if found is None else found), poses

    def lower(self) -> Tensor:
        """Activations of the lower capsules, else their lengths: ``[batch, types, locations]``."""
        votes = self.votes
        active = lengths(votes.poses) if votes.activations is None else votes.activations
        return active.unflatten(1, (self.types, -1))

    @property
    def types(self) -> int:
        """Types of lower capsules; every lower capsule is one where they have no locations."""
        return self.votes.poses.shape[1] // math.prod(self.votes.grid)


@torch.no_grad()
def silent(call: Call) -> Tensor:
    """Activations ``[out]`` that a routing gives where all lower poses and activations are zero."""
    votes, (_, higher, dim) = call.votes, call.poses.shape
    poses = torch.zeros_like(votes.poses[:1])
    active = None if votes.activations is None else torch.zeros_like(votes.activations[:1])
    none = poses.new_zeros(1, poses.shape[1], higher, dim)
    return call.routing(DenseVotes(none, poses, active, votes.grid))[1][0]


@torch.no_grad()
def without_input(network: nn.Module, images: Tensor) -> Tensor:
    """What the class capsules of ``network`` answer to no lower capsules: ``[classes]``.

    Zero where they are not made by a routing.

    Args:
        network: in evaluation mode; gives scores ``[batch, classes]``.
        images: some, which show it how many lower capsules there are.
    """
    with watched(network) as calls:
        scores = network(images)
    if not calls or calls[-1].activations.shape != scores.shape:
        return torch.zeros(scores.shape[1], device=scores.device)
    return silent(calls[-1])


@contextmanager
def watched(network: nn.Module) -> Iterator[list[Call]]:
    """The calls of all routings of ``network``, in order, as they happen."""
    names = {module: name for name, module in network.named_modules()}
    calls: list[Call] = []

    def note(routing: nn.Module, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        calls.append(Call(names[routing], cast(BaseRouting, routing), inputs[0], *output))

    with _hooked(network, note):
        yield calls


@contextmanager
def replaced(network: nn.Module, couplings: Callable[[Votes], Tensor | None]) -> Iterator[None]:
    """Every routing of ``network`` settles with ``couplings(votes)`` instead of its own."""

    def settle(routing: Any, inputs: tuple[Any, ...], _: object) -> tuple[Tensor, Tensor]:
        return routing.settle(inputs[0], couplings(inputs[0]))

    with _hooked(network, settle):
        yield


@contextmanager
def _hooked(network: nn.Module, hook: Callable) -> Iterator[None]:
    handles = [routing.register_forward_hook(hook) for routing in routings(network)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def passes(network: nn.Module, number: int) -> Iterator[None]:
    """Every iterative routing of ``network`` makes ``number`` passes."""
    before = [(routing, routing.iterations) for routing in iterative(network)]
    try:
        for routing, _ in before:
            routing.iterations = number
        yield
    finally:
        for routing, iterations in before:
            routing.iterations = iterations


def routings(network: nn.Module) -> list[BaseRouting]:
    """All routings of ``network``."""
    return [module for module in network.modules() if isinstance(module, BaseRouting)]


def iterative(network: nn.Module) -> list[IterativeRouting]:
    """Those of them whose number of passes can be set."""
    return [routing for routing in routings(network) if isinstance(routing, IterativeRouting)]


def uniform(votes: Votes) -> Tensor:
    """Equal couplings: ``1 / out``, or one over all the higher capsules that it is shared among."""
    return votes.share(torch.zeros_like(counted_once(votes)))


def counted_once(votes: Votes) -> Tensor:
    """Couplings of one: the votes are summed, nothing is shared out."""
    batch, lower = votes.poses.shape[:2]
    return votes.poses.new_ones(batch, votes.out_capsules, lower)


def shared_over(couplings: Tensor) -> Literal["out", "in"] | None:
    """The axis of ``couplings [batch, out, in]`` over which they are shares of one, if any."""
    if couplings.min() < -1e-4:
        return None
    if _is_one(couplings.sum(1)):
        return "out"
    return "in" if _is_one(couplings.sum(2)) else None


def _is_one(total: Tensor) -> bool:
    return torch.allclose(total, torch.ones_like(total), atol=1e-3)
