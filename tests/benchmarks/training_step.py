"""A whole training step of the paper's MNIST network.

Forward, margin and reconstruction loss, backward, and Adam, at a batch of 128. capsmed's is built
from configs/mnist.yaml by what `capsmed train` builds it with.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from capsmed import config
from capsmed.engines import build
from capsmed.engines.allocator import freed_memory_kept
from capsmed.engines.precision import PrecisionInferer
from capsmed.networks.tuning import tune_convolutions, use_convolutions
from tests.benchmarks.breakdown import Marks, marked, shares
from tests.benchmarks.contest import Bar, Contestant, listener
from tests.benchmarks.flop import done_flop, training_flop
from tests.benchmarks.standard import named, otherwise, standard
from tests.benchmarks.table import duration
from tests.benchmarks.textbook import TextbookCapsNet, by_type, textbook_loss

TUNED, DIRECT, TEXTBOOK = "capsmed", "capsmed, direct convolutions", "textbook"
CLASSES, SIDE, BATCH = 10, 28, 128
SMALL = {"channels": [6], "kernel_sizes": [5], "primary_capsules": 3, "primary_kernel": 5}
TINY_SIDE, TINY_BATCH, TINY_WIDTHS = 17, 5, (11, 13)
Step = Callable[[], object]


def contestants(fast: bool = False, tuned: Ours | None = None) -> list[Contestant]:
    """capsmed with its convolutions as measured to be fastest, with direct ones; the textbook.

    Args:
        fast: tiny sizes.
        tuned: the first, where it is built already.
    """
    flop = nominal_flop(fast)
    return [
        Contestant(TUNED, lambda: (tuned or ours(fast, tuned=True)).step, flop),
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


def nominal_flop(fast: bool) -> float:
    """Operations of a step: see `training_flop`."""
    found = experiment(fast)
    wrapper, _ = build.build_wrapper(found, found.network.name, CLASSES, Path())
    image, target = batch(fast)
    return len(image) * training_flop(wrapper, image[:1], target[:1])


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


def measure(rounds: int, fast: bool = False) -> dict[str, Any]:
    """Times and memory, where capsmed's time goes, and how equal both losses and gradients are.

    All contestants have freed memory kept for the next step, as `capsmed train` has; they take
    turns once more in another process with glibc's default. Everything that is told of capsmed's
    step is told of the very one that was timed.
    """
    where = f"{__name__}:contestants"
    plain = otherwise(where, rounds, kept=False, fast=fast)
    with freed_memory_kept():
        tuned = ours(fast, tuned=True)
        found = standard(where, contestants(fast, tuned), rounds, fast=fast)
        listener.get()("where the time goes")
        found |= {"parts_s": breakdown(tuned, rounds), "convolutions": tuned.choice}
    done = done_flop(tuned.wrapper.network, tuned.image, named(found, TUNED)["flop"])
    return found | {
        "done_flop": done,
        "returned_s": plain,
        "differences": differences(tuned, fast) | full_differences(tuned, fast),
    }


def breakdown(built: Ours, rounds: int) -> dict[str, float]:
    """Median seconds of the parts of capsmed's step."""
    steps = []
    for _ in range(rounds + 1):
        marks = Marks()
        with marked(built.parts(), marks):
            built.step(marks)
        steps.append(marks.seconds())
    return shares(steps[1:])


def differences(built: Ours, fast: bool, *, last: bool = True) -> dict[str, float]:
    """Largest difference from the textbook with the same weights, of the largest value.

    Args:
        built: capsmed's step, its convolutions as they are.
        fast: whether it is of tiny sizes.
        last: it has the gradient of the last pass, so the textbook holds its couplings constant.

    Returns:
        ``loss``, and ``gradient``: of any parameter.
    """
    network: Any = built.wrapper.network
    theirs = textbook_network(fast)
    theirs.take(network)
    theirs.digits.last = last
    built.optimizer.zero_grad(set_to_none=True)
    loss = built.loss(built.infer(built.image, built.wrapper, built.target), built.target)
    wanted = textbook_loss(*theirs(built.image, built.target), built.image, built.target)
    loss.backward()
    wanted.backward()
    worst = max(_apart(a, b) for a, b in gradients(network, theirs))
    return {"loss": abs(loss.item() / wanted.item() - 1), "gradient": worst}


def full_differences(built: Ours, fast: bool) -> dict[str, float]:
    """The same of a step with the full gradient, weights and convolutions being those of another.

    Returns:
        ``full gradient``.
    """
    full = {"routing": ("dynamic", {"gradient": "full"})}
    found = experiment(fast)
    component = config.Component(**{**found.network.options, **full}, name=found.network.name)
    found = found.model_copy(update={"network": component})
    other = Ours(found, built.image, built.target, tuned=False)
    other.wrapper.network.load_state_dict(built.wrapper.network.state_dict())
    use_convolutions(other.wrapper.network, built.choice)
    return {"full gradient": differences(other, fast, last=False)["gradient"]}


def gradients(network: Any, theirs: TextbookCapsNet) -> list[tuple[Tensor, Tensor]]:
    """Of every parameter of both networks, in the textbook's order of channels."""
    pairs = [(network.classes.weight.grad, theirs.digits.gradient())]
    layers = [(network.encoder.stages[0][0], theirs.conv1), (network.decoder, theirs.decoder)]
    for own, other in layers:
        both = zip(own.parameters(), other.parameters(), strict=True)
        pairs += [(a.grad, b.grad) for a, b in both]
    both = zip(network.primary.conv.parameters(), theirs.primary.parameters(), strict=True)
    return pairs + [(by_type(a.grad), b.grad) for a, b in both]


def _apart(value: Tensor, wanted: Tensor) -> float:
    return float((value - wanted).abs().max() / wanted.abs().max())


def bars(result: dict[str, Any]) -> list[Bar]:
    """What issue and page ask of the step."""
    share = "nominal share of the matrix product's speed"
    return [
        Bar("times faster than the textbook", named(result, TEXTBOOK)["ratio"], 2.2),
        Bar(share, named(result, TUNED)["share"], 0.7),
    ]


def lines(result: dict[str, Any]) -> list[str]:
    """What was computed, where the time goes, and what is equal."""
    parts = result["parts_s"]
    total = sum(parts.values())
    told = "; ".join(
        f"{name} {seconds / total:.1%}"
        for name, seconds in sorted(parts.items(), key=lambda part: -part[1])
    )
    plain, differ = result["returned_s"], result["differences"]
    return [
        operations(result),
        f"capsmed's step: {told}.",
        "Freed memory is kept for the next step, for all. Where glibc returns it to the system: "
        f"{'; '.join(f'{name} {duration(seconds)}' for name, seconds in plain.items())}; the "
        f"textbook takes {plain[TEXTBOOK] / plain[TUNED]:.2f} times as long as capsmed.",
        f"With the same weights, the timed step's loss differs from the textbook's by "
        f"{differ['loss']:.1e}, its gradients (last pass) by at most {differ['gradient']:.1e} of "
        f"the largest, with the full gradient {differ['full gradient']:.1e}.",
    ]


def operations(result: dict[str, Any]) -> str:
    """Nominal operations, those really done, and their shares of the matrix product's speed."""
    tuned, direct, done = named(result, TUNED), named(result, DIRECT), result["done_flop"]
    ways = ", ".join(f"{name} {way}" for name, way in result["convolutions"].items())
    real = done / tuned["flop"]
    return (
        f"Nominal {tuned['flop'] / 1e9:.4g} GFLOP a step; capsmed's convolutions: "
        f"{ways or 'all direct'}, with which {done / 1e9:.4g} GFLOP are really done, at "
        f"{real * tuned['gflops']:.0f} GFLOP/s, {real * tuned['share']:.0%} of the matrix "
        f"product's speed. Direct convolutions, where nominal is real: {direct['share']:.0%}."
    )
