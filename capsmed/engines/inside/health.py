"""What is measured inside one trained network on its own test cases."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from capsmed.engines.inside.probe import (
    Call,
    counted_once,
    iterative,
    passes,
    replaced,
    routings,
    shared_over,
    watched,
    without_input,
)
from capsmed.metrics.dead import dead
from capsmed.networks import probabilities

WEIGHTED = "couplings are normalised over the lower capsules, so a vote cannot count once"
FIXED = "no routing is iterative"
LEVELLED = "all classes of a case come out equal, so there is nothing to choose by"

#: Class probabilities of a case that differ by less than this are equal but for rounding.
EQUAL = 1e-6


@dataclass(frozen=True)
class Variant:
    """A way to route at test time.

    Attributes:
        name: as in the table of the report.
        passes: number of passes that it sets, or None.
        trained: whether it is what the network was trained with.
        reason: why it does not apply to the network; None where it does.
    """

    name: str
    passes: int | None = None
    trained: bool = False
    reason: str | None = None

    @property
    def applies(self) -> bool:
        """Whether the network can be routed this way."""
        return self.reason is None

    def on(self, network: nn.Module) -> AbstractContextManager[None]:
        """Route ``network`` this way inside the context."""
        if self.name == "off":
            return replaced(network, counted_once)
        if self.name == "uniform":
            return replaced(network, lambda votes: None)
        return nullcontext() if self.passes is None else passes(network, self.passes)


def variants(network: nn.Module) -> list[Variant]:
    """Routing off, uniform, 1 pass, 3 passes, and as trained where that is none of them."""
    trained = {routing.iterations for routing in iterative(network)}
    weighted = any(routing.normalised_over == "in" for routing in routings(network))
    rows = [Variant("off", reason=WEIGHTED if weighted else None), Variant("uniform")]
    for number in sorted({1, 3, *(trained if len(trained) == 1 else ())}):
        name = "1 pass" if number == 1 else f"{number} passes"
        rows.append(Variant(name, number, trained == {number}, None if trained else FIXED))
    return rows if len(trained) == 1 else [*rows, Variant("as trained", trained=True)]


@dataclass(frozen=True)
class Measured:
    """Numbers of one network over ``n`` cases.

    Attributes:
        target: class of each case ``[n]``.
        activations: of the class capsules ``[n, classes]``.
        silent: what the class capsules answer to no input ``[classes]``.
        lower: largest activation or length of each type of lower capsules ``[types]``.
        entropy: of the couplings after each pass ``[n, passes]``; NaN where they are no shares.
        agreement: after each pass ``[n, passes]``.
        tests: class probabilities ``[n, classes]`` by the name of the `Variant`.
    """

    target: np.ndarray
    activations: np.ndarray
    silent: np.ndarray
    lower: np.ndarray
    entropy: np.ndarray
    agreement: np.ndarray
    tests: dict[str, np.ndarray]

    @property
    def dead_types(self) -> list[int]:
        """Types of lower capsules that are dead, by `dead` with 0 for no input."""
        return np.flatnonzero(dead(self.lower)).tolist()

    @property
    def dead_classes(self) -> list[int]:
        """Class capsules that are dead."""
        return np.flatnonzero(dead(self.activations.max(0), self.silent)).tolist()


@torch.no_grad()
def measure(
    network: Any,
    batches: Iterable[tuple[Tensor, Tensor]],
    step: Callable[[int], None],
) -> Measured:
    """Measure ``network``, in evaluation mode.

    Args:
        network: with ``capsules`` and ``score_kind``.
        batches: images ``[batch, channels, ...]`` and class indices ``[batch]``.
        step: told the number of cases of each batch that is done.
    """
    rows = [variant for variant in variants(network) if variant.applies]
    gathered: dict[str, list[Tensor]] = {}
    for images, target in batches:
        parts = {"target": target, **_watch(network, images)}
        for variant in rows:
            with variant.on(network):
                scores = network.capsules(images)[1]
            chance = probabilities(scores.double(), network.score_kind)
            parts[f"test {variant.name}"] = chance
        for name, part in parts.items():
            gathered.setdefault(name, []).append(part.cpu())
        step(len(images))
    nothing = without_input(network, images).cpu().numpy()
    whole = {name: torch.cat(found).numpy() for name, found in gathered.items()}
    tests = {row.name: whole.pop(f"test {row.name}") for row in rows}
    return Measured(**{**whole, "lower": whole["lower"].max(0)}, silent=nothing, tests=tests)


def _watch(network: Any, images: Tensor) -> dict[str, Tensor]:
    with watched(network) as calls:
        network.capsules(images)
    call = calls[-1]
    entropies, agreements = [], []
    for number in range(1, call.routing.passes + 1 if call.routing.iterative else 2):
        with passes(call.routing, number):
            couplings, settled = call.settled()
        entropies.append(entropy(couplings))
        agreements.append(agreement(call, couplings, settled))
    return {
        "activations": call.activations,
        "lower": call.lower().amax(2),
        "entropy": torch.stack(entropies, 1),
        "agreement": torch.stack(agreements, 1),
    }


def entropy(couplings: Tensor) -> Tensor:
    """Mean entropy of the shares of ``couplings [batch, out, in]``, from 0 to 1; ``[batch]``.

    Each lower capsule's couplings are shares over the higher capsules: their entropy is divided by
    that of equal shares, log(out), and averaged over the lower capsules. A routing whose couplings
    sum to one over the lower capsules instead has log(in) there and is averaged over the higher
    ones. NaN where they are shares of nothing, or of a single capsule.
    """
    axis = {"out": 1, "in": 2, None: 0}[shared_over(couplings)]
    if axis == 0 or couplings.shape[axis] < 2:
        return couplings.new_full((len(couplings),), torch.nan)
    bits = -torch.special.xlogy(couplings, couplings).sum(axis) / math.log(couplings.shape[axis])
    return bits.mean(1)


def agreement(call: Call, couplings: Tensor, poses: Tensor) -> Tensor:
    """``sum over i, j of c(ij) <vote(ij), v(j)>`` for settled poses v; ``[batch]``."""
    return (couplings * call.votes.agreement(poses)).sum((1, 2))
