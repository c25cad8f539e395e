"""Capsule layer of the paper's MNIST network, forward and backward.

1152 capsules of 8 components to 10 of 16, a batch of 128, three passes of dynamic routing. Each
gets its input in the order in which the layer before gives it, and computes the gradients of
input and weight. The table and the bars are of glibc's default; with freed memory kept for the next
step, as `capsmed train` has it, all take turns once more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from capsmed.networks.layers import CapsuleLinear
from tests.benchmarks.contest import Bar, Contestant, listener
from tests.benchmarks.einsum_capsules import EinsumCapsules
from tests.benchmarks.standard import named, otherwise, standard
from tests.benchmarks.table import duration
from tests.benchmarks.textbook import TextbookCapsules

#: Lower capsules, higher capsules, components of each; and the batch.
Sizes = tuple[int, int, int, int]
PAPER, BATCH = (1152, 10, 8, 16), 128
TINY, TINY_BATCH = (23, 3, 2, 7), 5
LAST, FULL = "capsmed", "capsmed, full gradient"
EINSUM_LAST, EINSUM_FULL = "einsum", "einsum, full gradient"
TEXTBOOK = "textbook, full gradient"

LAYERS: dict[str, Callable[[Sizes], nn.Module]] = {
    LAST: lambda sizes: CapsuleLinear(*sizes, routing=("dynamic", {"gradient": "last"})),
    FULL: lambda sizes: CapsuleLinear(*sizes, routing=("dynamic", {"gradient": "full"})),
    EINSUM_LAST: lambda sizes: EinsumCapsules(*sizes, last=True),
    EINSUM_FULL: lambda sizes: EinsumCapsules(*sizes),
    TEXTBOOK: lambda sizes: TextbookCapsules(*sizes),
}
PAIRS = ((EINSUM_LAST, LAST), (EINSUM_FULL, FULL), (TEXTBOOK, FULL))


def contestants(fast: bool = False) -> list[Contestant]:
    """capsmed, einsum and the textbook, with the gradients they offer."""
    sizes, batch = (TINY, TINY_BATCH) if fast else (PAPER, BATCH)
    return [
        Contestant(name, lambda name=name: step(name, sizes, batch), flop(sizes, batch))
        for name in LAYERS
    ]


def step(name: str, sizes: Sizes, batch: int) -> Callable[[], None]:
    """Forward and backward of a layer; what it has made is let go."""
    layer, poses = LAYERS[name](sizes), lower(name, sizes, batch)
    grad = torch.rand(batch, sizes[1], sizes[3])

    def run() -> None:
        higher(layer, poses).backward(grad)
        poses.grad = None
        layer.zero_grad(set_to_none=True)

    return run


def lower(name: str, sizes: Sizes, batch: int) -> Tensor:
    """Lower capsules ``[batch, in, in_dim]``, in memory as the network before ``name`` has them."""
    in_capsules, _, in_dim, _ = sizes
    poses = torch.rand(batch, in_dim, in_capsules).transpose(1, 2) / in_dim
    poses = poses if name in (LAST, FULL) else poses.contiguous()
    return poses.requires_grad_()


def higher(layer: nn.Module, poses: Tensor) -> Tensor:
    """Poses that a layer makes; capsmed's gives activations too."""
    made = layer(poses)
    return made[0] if isinstance(made, tuple) else made


def flop(sizes: Sizes, batch: int) -> float:
    """Of the votes once forward and twice backward; routing adds little to that."""
    in_capsules, out_capsules, in_dim, out_dim = sizes
    return 6.0 * batch * in_capsules * out_capsules * in_dim * out_dim


def difference(theirs: str, name: str, sizes: Sizes, batch: int) -> float:
    """Largest difference of poses and gradients, as a share of the largest value of each."""
    layer = LAYERS[name](sizes)
    other = LAYERS[theirs](sizes)
    other.take(layer)
    grad = torch.rand(batch, sizes[1], sizes[3])
    poses = lower(name, sizes, batch)
    same = poses.detach().clone(memory_format=torch.contiguous_format).requires_grad_()
    made, wanted = higher(layer, poses), higher(other, same)
    made.backward(grad)
    wanted.backward(grad)
    pairs = [(made, wanted), (poses.grad, same.grad), (layer.weight.grad, other.gradient())]
    return max(((a - b).abs().max() / b.abs().max()).item() for a, b in pairs)


def measure(rounds: int, fast: bool = False) -> dict[str, Any]:
    """Times and memory, and how far each is from capsmed's layer with the same gradient."""
    sizes, batch = (TINY, TINY_BATCH) if fast else (PAPER, BATCH)
    where = f"{__name__}:contestants"
    found = standard(where, contestants(fast), rounds, fast=fast)
    found["kept_s"] = otherwise(where, rounds, kept=True, fast=fast)
    listener.get()("comparing gradients")
    torch.manual_seed(0)
    return found | {"differences": {a: difference(a, b, sizes, batch) for a, b in PAIRS}}


def bars(result: dict[str, Any]) -> list[Bar]:
    """What issue and page ask of the layer."""
    time = {row["name"]: row["median_s"] for row in result["rows"]}
    memory = named(result, TEXTBOOK)["peak_bytes"] / named(result, LAST)["peak_bytes"]
    einsum = "einsum (last pass) over ours (last pass), times"
    textbook = "textbook (full gradient) over ours (last pass)"
    return [
        Bar(einsum, time[EINSUM_LAST] / time[LAST], 3.5),
        Bar(f"{textbook}, times", time[TEXTBOOK] / time[LAST], 15),
        Bar(f"{textbook}, memory", memory, 30),
        Bar("largest difference of gradients", max(result["differences"].values()), 1e-5, True),
    ]


def lines(result: dict[str, Any]) -> list[str]:
    """Like with like in time and memory, the other state of memory, and how equal results are."""
    time = {row["name"]: row["median_s"] for row in result["rows"]}
    memory = {row["name"]: row["peak_bytes"] for row in result["rows"]}
    kept, worst = result["kept_s"], max(result["differences"].values())
    shown = "; ".join(f"{name} {duration(seconds)}" for name, seconds in kept.items())
    return [
        f"Like with like: {ratios(time)} in time; {ratios(memory)} in memory.",
        f"With freed memory kept for the next step: {shown}. Like with like: {ratios(kept)}; "
        f"{TEXTBOOK} over {LAST}: {kept[TEXTBOOK] / kept[LAST]:.2f}.",
        "With the same weights and gradient, poses and gradients differ by at most "
        f"{worst:.1e} of the largest value.",
    ]


def ratios(values: dict[str, float]) -> str:
    """Those of the contestants with the same gradient."""
    return ", ".join(f"{a} over {b} {values[a] / values[b]:.2f}" for a, b in PAIRS)
