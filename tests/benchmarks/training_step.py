"""A whole training step of the paper's MNIST network.

Forward, margin and reconstruction loss, backward, and Adam, at a batch of 128. capsmed's is built
from configs/mnist.yaml by what `capsmed train` builds it with.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from capsmed import config
from capsmed.engines import build
from capsmed.engines.allocator import freed_memory_kept
from capsmed.engines.precision import PrecisionInferer
from capsmed.networks.tuning import tune_convolutions
from tests.benchmarks.breakdown import Marks, marked, shares
from tests.benchmarks.contest import Bar, Contestant, contest, listener
from tests.benchmarks.standard import named, standard
from tests.benchmarks.table import duration
from tests.benchmarks.textbook import TextbookCapsNet, textbook_loss

TUNED, DIRECT, TEXTBOOK = "capsmed", "capsmed, direct convolutions", "textbook"
CLASSES, SIDE, BATCH = 10, 28, 128
SMALL = {"channels": [6], "kernel_sizes": [5], "primary_capsules": 3, "primary_kernel": 5}
TINY_SIDE, TINY_BATCH, TINY_WIDTHS = 17, 5, (11, 13)
Step = Callable[[], object]


def contestants(fast: bool = False) -> list[Contestant]:
    """capsmed with its convolutions as measured to be fastest, with direct ones; the textbook."""
    flop = nominal_flop(our_network(fast), TINY_BATCH if fast else BATCH)
    return [
        Contestant(TUNED, lambda: ours(fast, tuned=True).step, flop),
        Contestant(DIRECT, lambda: ours(fast, tuned=False).step, flop),
        Contestant(TEXTBOOK, lambda: textbook(fast), flop),
    ]


def batch(fast: bool) -> tuple[Tensor, Tensor]:
    """Images ``[batch, 1, side, side]`` and class indices."""
    side, size = (TINY_SIDE, TINY_BATCH) if fast else (SIDE, BATCH)
    return torch.rand(size, 1, side, side), torch.randint(CLASSES, (size,))


class Ours:
    """capsmed's network, loss and optimiser, as an experiment names them.

    Args:
        experiment: the configuration.
        image: what a step trains on.
        target: its class indices.
        tuned: choose the convolutions by measurement.
    """

    def __init__(
        self, experiment: config.Experiment, image: Tensor, target: Tensor, tuned: bool
    ) -> None:
        self.image, self.target = image, target
        name, precision = experiment.network.name, experiment.training.precision
        self.wrapper, _ = build.build_wrapper(experiment, name, CLASSES, Path())
        self.wrapper.train()
        self.loss = build.build_loss(experiment.loss)
        self.optimizer = build.build_optimizer(experiment.optimizer, self.wrapper.network)
        self.infer = PrecisionInferer(precision)
        self.choice = (
            tune_convolutions(self.wrapper.network, image, precision=precision) if tuned else {}
        )

    def step(self, marks: Callable[[str], None] = lambda name: None) -> None:
        """One step; ``marks`` is told what begins."""
        marks("rest")
        self.optimizer.zero_grad(set_to_none=True)
        output = self.infer(self.image, self.wrapper, self.target)
        marks("loss")
        loss = self.loss(output, self.target)
        loss.backward()
        marks("optimiser")
        self.optimizer.step()
        marks("end")

    def parts(self) -> dict[str, nn.Module]:
        """What the step's time is told apart by."""
        network: Any = self.wrapper.network
        return {
            "first convolution": network.encoder,
            "primary convolution": network.primary,
            "capsule layer": network.classes,
            "decoder": network.decoder,
        }


def ours(fast: bool, tuned: bool) -> Ours:
    """The step of configs/mnist.yaml, or of a tiny network."""
    return Ours(experiment(fast), *batch(fast), tuned)


def experiment(fast: bool) -> config.Experiment:
    """configs/mnist.yaml; the data are not read."""
    overrides = ["data.cohort=mnist"]
    if fast:
        options = {**SMALL, "decoder_widths": list(TINY_WIDTHS)}
        overrides += [f"network.{name}={value}" for name, value in options.items()]
        overrides.append(f"patch.size=[{TINY_SIDE}, {TINY_SIDE}]")
    return config.load("mnist", overrides).experiment


def our_network(fast: bool) -> nn.Module:
    """capsmed's network alone."""
    found = experiment(fast)
    return build.build_network(found.network, found, CLASSES)


def textbook_network(fast: bool) -> TextbookCapsNet:
    """The textbook's network of the same sizes."""
    if fast:
        return TextbookCapsNet(TINY_SIDE, 6, 3, CLASSES, 5, TINY_WIDTHS)
    return TextbookCapsNet()


def textbook(fast: bool) -> Step:
    """The textbook's step, with torch's Adam as it comes."""
    network = textbook_network(fast)
    image, target = batch(fast)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)

    def step() -> None:
        optimizer.zero_grad()
        poses, reconstruction = network(image, target)
        textbook_loss(poses, reconstruction, image, target).backward()
        optimizer.step()

    return step


def nominal_flop(network: Any, samples: int) -> float:
    """Operations of a step's layers: forward and both gradients, none for the image's.

    Convolutions count as direct ones, the capsule layer as its votes, once each way.
    """
    convolutions = [network.encoder.stages[0][0], network.primary.conv]
    sizes = [network.encoder.output_size(network.decoder.output_shape[1:]), network.grid]
    first, second = (
        2.0 * samples * math.prod(size) * conv.weight.numel()
        for conv, size in zip(convolutions, sizes, strict=True)
    )
    linear = [m for m in network.decoder.modules() if isinstance(m, nn.Linear)]
    weights = network.classes.weight.numel() + sum(layer.weight.numel() for layer in linear)
    return 2 * first + 3 * (second + 2.0 * samples * weights)


def measure(rounds: int, fast: bool = False) -> dict[str, Any]:
    """Times and memory, where capsmed's time goes, and how equal both losses and gradients are.

    All contestants have freed memory kept for the next step, as `capsmed train` has; then they
    take turns once more with glibc's default.
    """
    with freed_memory_kept():
        found = standard(f"{__name__}:contestants", contestants(fast), rounds, fast=fast)
        listener.get()("where the time goes")
        found |= breakdown(rounds, fast)
    plain = contest(contestants(fast), rounds, warmup=1)
    found["returned_s"] = {timing.name: timing.median_s for timing in plain}
    return found | {"differences": differences(fast)}


def breakdown(rounds: int, fast: bool) -> dict[str, Any]:
    """Median seconds of the parts of capsmed's step, and how its convolutions are computed."""
    built = ours(fast, tuned=True)
    steps = []
    for _ in range(rounds + 1):
        marks = Marks()
        with marked(built.parts(), marks):
            built.step(marks)
        steps.append(marks.seconds())
    return {"parts_s": shares(steps[1:]), "convolutions": built.choice}


def differences(fast: bool) -> dict[str, float]:
    """Largest difference from the textbook with the full gradient, of the largest value.

    ``loss``, and ``gradient``: of any parameter that both have in the same order.
    """
    full = {"routing": ("dynamic", {"gradient": "full"})}
    found = experiment(fast)
    component = config.Component(**{**found.network.options, **full}, name=found.network.name)
    network: Any = build.build_network(component, found, CLASSES)
    theirs = textbook_network(fast)
    theirs.take(network)
    image, target = batch(fast)
    wrapper = build.TrainingWrapper(network)
    loss = build.build_loss(found.loss)(wrapper(image, target), target)
    wanted = textbook_loss(*theirs(image, target), image, target)
    loss.backward()
    wanted.backward()
    pairs = [(network.classes.weight.grad, theirs.digits.gradient())]
    pairs.append((network.encoder.stages[0][0].weight.grad, theirs.conv1.weight.grad))
    pairs += [
        (a.grad, b.grad)
        for a, b in zip(network.decoder.parameters(), theirs.decoder.parameters(), strict=True)
    ]
    worst = max(((a - b).abs().max() / b.abs().max()).item() for a, b in pairs)
    return {"loss": abs(loss.item() / wanted.item() - 1), "gradient": worst}


def bars(result: dict[str, Any]) -> list[Bar]:
    """What issue and page ask of the step."""
    return [
        Bar("times faster than the textbook", named(result, TEXTBOOK)["ratio"], 2.2),
        Bar("share of the matrix product's speed", named(result, TUNED)["share"], 0.7),
    ]


def lines(result: dict[str, Any]) -> list[str]:
    """Where the time goes, and what is equal."""
    parts = result["parts_s"]
    total = sum(parts.values())
    told = "; ".join(
        f"{name} {seconds / total:.1%}"
        for name, seconds in sorted(parts.items(), key=lambda part: -part[1])
    )
    ways = ", ".join(f"{name} {way}" for name, way in result["convolutions"].items())
    plain, differ = result["returned_s"], result["differences"]
    return [
        f"Nominal {result['rows'][0]['flop'] / 1e9:.4g} GFLOP a step. capsmed's step: {told}. "
        f"Convolutions: {ways or 'all direct'}.",
        "Freed memory is kept for the next step, for all. Where glibc returns it to the system: "
        f"{'; '.join(f'{name} {duration(seconds)}' for name, seconds in plain.items())}; the "
        f"textbook takes {plain[TEXTBOOK] / plain[TUNED]:.2f} times as long as capsmed.",
        f"With the same weights and the full gradient, capsmed's loss differs from the textbook's "
        f"by {differ['loss']:.1e}, gradients by at most {differ['gradient']:.1e} of the largest.",
    ]
