"""Training step on nodules of 32x32x32 voxels, a batch of 16.

Forward, loss, backward and fused AdamW of the default nodule network, of two CNNs of 3x3x3 kernels
and as many parameters (on its encoder, in linear layers or in a fourth stage), and of MONAI's
ResNet-18 and DenseNet121, each on the same patches; freed memory is kept and a step of the same
network comes before each timed one, as in training. The geometry of published 3D capsule code,
9x9x9 kernels and 256 channels, is measured on one patch, alone, after the others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from capsmed.engines.allocator import freed_memory_kept
from capsmed.losses import CapsuleLoss, ScoresCrossEntropy
from capsmed.networks import (
    BackboneClassifier,
    ConvNet,
    FastCapsNet3d,
    NoduleCapsNet,
    TrainingWrapper,
)
from capsmed.networks.cost import multiply_adds, parameters
from tests.benchmarks.contest import Bar, Contestant, contest
from tests.benchmarks.flop import training_flop
from tests.benchmarks.standard import named, standard

Size = tuple[int, int, int]
Build = Callable[[Size], nn.Module]
ROUNDS = 40  # of steps of few milliseconds
SIZE, BATCH = (32, 32, 32), 16
TINY, TINY_BATCH = (32, 33, 34), 2  # DenseNet121 halves five times
OURS, DECODED = "capsmed nodule_capsnet", "capsmed nodule_capsnet, with decoder"
CNN, RESNET = "CNN of 3x3x3 kernels, as many parameters", "MONAI ResNet-18 3D"
DENSENET = "MONAI DenseNet121 3D"
CONVOLUTIONAL = "CNN, as many parameters, all in its convolutions"
PUBLISHED = "published 3D capsules, 9x9x9 kernels, 256 channels"


def small_cnn(size: Size) -> nn.Module:
    """The nodule network's encoder, and linear layers with the parameters of its capsules."""
    encoder = NoduleCapsNet.encoder_options(3, size)
    capsules = parameters(NoduleCapsNet(3, 1, 2, size, decoder=None))
    plain, wider = (ConvNet(3, 1, 2, size, **encoder, hidden=(width,)) for width in (1, 2))
    each = parameters(wider) - parameters(plain)
    width = 1 + (capsules - parameters(plain)) // each
    return ConvNet(3, 1, 2, size, **encoder, hidden=(width,))


def convolutional_cnn(size: Size) -> nn.Module:
    """The nodule network's encoder and a fourth stage with the parameters of its capsules."""
    encoder = NoduleCapsNet.encoder_options(3, size)
    capsules = parameters(NoduleCapsNet(3, 1, 2, size, decoder=None))
    shared = parameters(ConvNet(3, 1, 2, size, **encoder, head="average"))
    width = (capsules - shared) // (27 * encoder["channels"][-1] + 4)
    more = {"channels": max(1, width), "kernel_sizes": 3, "strides": 2}
    deeper = encoder | {name: [*encoder[name], value] for name, value in more.items()}
    return ConvNet(3, 1, 2, size, **deeper, head="average")


def published(size: Size) -> nn.Module:
    """Fast CapsNet's geometry without its decoder; for tiny patches the small one."""
    geometry = "paper" if size == SIZE else "small"
    return FastCapsNet3d(3, 1, 2, size, geometry=geometry, decoder=None)


NETWORKS: dict[str, Build] = {
    OURS: lambda size: NoduleCapsNet(3, 1, 2, size, decoder=None),
    CNN: small_cnn,
    CONVOLUTIONAL: convolutional_cnn,
    RESNET: lambda size: BackboneClassifier(3, 1, 2, size, backbone="resnet18"),
    DENSENET: lambda size: BackboneClassifier(3, 1, 2, size, backbone="densenet121"),
    DECODED: lambda size: NoduleCapsNet(3, 1, 2, size, decoder="dense"),
}


def contestants(fast: bool = False) -> list[Contestant]:
    """Ours, the CNNs, ResNet-18, DenseNet121, and ours with its decoder."""
    size, batch = (TINY, TINY_BATCH) if fast else (SIZE, BATCH)
    return [_contestant(name, build, size, batch) for name, build in NETWORKS.items()]


def _contestant(name: str, build: Build, size: Size, batch: int) -> Contestant:
    network = build(size)
    image = torch.zeros(1, 1, *size)
    products = multiply_adds(network, image)
    flop = batch * training_flop(TrainingWrapper(network), image, torch.zeros(1, dtype=torch.long))
    note = f"{parameters(network):,} parameters, {products / 1e6:.3g} M multiply-adds a patch"
    return Contestant(name, lambda: step(build(size), size, batch), flop, note)


def step(network: nn.Module, size: Size, batch: int) -> Callable[[], None]:
    """Forward, loss, backward and update on random patches, labels in turn."""
    wrapper, image = TrainingWrapper(network).train(), torch.rand(batch, 1, *size)
    target = torch.arange(batch) % 2
    capsules = wrapper.score_kind == "lengths"
    loss: nn.Module = CapsuleLoss() if capsules else ScoresCrossEntropy()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)

    def run() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss(wrapper(image, target), target).backward()
        optimizer.step()

    return run


def measure(rounds: int, fast: bool = False) -> dict[str, Any]:
    """Times and memory; of the published geometry seconds a patch, over ours, on few rounds."""
    size, batch = (TINY, TINY_BATCH) if fast else (SIZE, BATCH)
    one = _contestant(PUBLISHED, published, size, 1)
    with freed_memory_kept():
        found = standard(
            f"{__name__}:contestants", contestants(fast), rounds, fast=fast, before=0 if fast else 1
        )
        slow = contest([one], rounds=min(rounds, 3), warmup=1)[0].median_s
    ours = named(found, OURS)["median_s"] / batch
    return found | {"published": {"seconds": slow, "ratio": slow / ours, "note": one.note}}


def bars(result: dict[str, Any]) -> list[Bar]:
    """What the step must show."""
    time = {row["name"]: row["median_s"] for row in result["rows"]}
    return [
        Bar("times the step of the CNN", time[OURS] / time[CNN], 1.15, most=True),
        Bar("times faster than ResNet-18", time[RESNET] / time[OURS], 5),
    ]


def lines(result: dict[str, Any]) -> list[str]:
    """The published geometry, for information."""
    slow = result["published"]
    return [
        f"For information, {PUBLISHED} ({slow['note']}), one patch at a time: "
        f"{slow['seconds']:.2f} s, {slow['ratio']:.0f} times our seconds a patch."
    ]
