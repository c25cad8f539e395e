"""Inference of the paper's MNIST network, class scores of a batch of 128.

capsmed's network made ready by `for_inference` and tuned on such a batch, as it is after training,
and with 8-bit convolutions; beside them the textbook's, without its decoder. Then how long one
image takes the nodule networks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from capsmed import config
from capsmed.engines import build
from capsmed.networks import CapsNet, NoduleCapsNet
from capsmed.networks.cost import multiply_adds
from capsmed.networks.inference import for_inference, quantise
from tests.benchmarks.contest import Bar, Contestant, contest, listener
from tests.benchmarks.standard import named, standard
from tests.benchmarks.textbook import TextbookCapsNet

BATCH, TINY_BATCH = 128, 3
PAPER = {"side": 28, "channels": 256, "types": 32, "classes": 10, "kernel": 9}
TINY = {"side": 16, "channels": 6, "types": 2, "classes": 3, "kernel": 5}
READY, AS_IS = "capsmed, for inference", "capsmed, as trained"
INT8, TEXTBOOK = "capsmed, int8", "textbook"
#: Rounds of a single image for each round of the batch.
SINGLES = 20
#: Longest that one image may take a nodule network, in seconds.
LATENCY = 0.010
Step = Callable[[], object]


class Compared:
    """capsmed's network in three states and the textbook's, on one batch, each built once.

    Args:
        fast: tiny sizes.
    """

    def __init__(self, fast: bool) -> None:
        torch.manual_seed(0)
        network, theirs, self.image = pair(fast)
        self.flop = 2.0 * multiply_adds(network, self.image)
        self._make: dict[str, Callable[[], nn.Module]] = {
            READY: lambda: for_inference(network, self.image),
            AS_IS: lambda: network,
            INT8: lambda: quantise(network),
            TEXTBOOK: lambda: theirs,
        }
        self._made: dict[str, nn.Module] = {}

    def network(self, name: str) -> Any:
        """One of them, always the same."""
        if name not in self._made:
            self._made[name] = self._make[name]()
        return self._made[name]

    def contestants(self) -> list[Contestant]:
        """All four."""
        return [
            Contestant(name, lambda n=name: predicting(self.network(n), self.image), self.flop)
            for name in self._make
        ]

    def differences(self) -> dict[str, float]:
        """How far the scores are from the textbook's, as a share of the largest."""
        made: dict[str, Any] = {
            name: predicting(self.network(name), self.image)() for name in (READY, INT8, TEXTBOOK)
        }
        wanted = made.pop(TEXTBOOK)
        return {name: _apart(scores, wanted) for name, scores in made.items()}


def contestants(fast: bool = False) -> list[Contestant]:
    """capsmed's network in three states, and the textbook's."""
    return Compared(fast).contestants()


def pair(fast: bool) -> tuple[CapsNet, nn.Module, Tensor]:
    """capsmed's network, the textbook's with the same weights, and a batch of images."""
    sizes = TINY if fast else PAPER
    side, kernel = sizes["side"], sizes["kernel"]
    network = CapsNet(
        2,
        1,
        sizes["classes"],
        (side, side),
        channels=(sizes["channels"],),
        kernel_sizes=kernel,
        primary_capsules=sizes["types"],
        primary_kernel=kernel,
    )
    theirs = TextbookCapsNet(**sizes)
    theirs.take(network)
    return network.eval(), TextbookScores(theirs), torch.rand(batch(fast), 1, side, side)


def batch(fast: bool) -> int:
    """Images at a time."""
    return TINY_BATCH if fast else BATCH


class TextbookScores(nn.Module):
    """Lengths of the textbook's class capsules; its decoder does not run."""

    def __init__(self, network: TextbookCapsNet) -> None:
        super().__init__()
        self.network = network
        network.decoder = nn.Sequential(nn.Identity())

    def forward(self, image: Tensor) -> Tensor:
        """Class scores ``[batch, classes]``."""
        target = torch.zeros(len(image), dtype=torch.long)
        poses, _ = self.network(image, target)
        return torch.sqrt((poses**2).sum(dim=2))


def predicting(network: nn.Module, image: Tensor) -> Step:
    """A step that gives the scores of ``image``."""
    network.eval()

    def run() -> Tensor:
        with torch.no_grad():
            scores: Tensor = network(image)
        return scores

    return run


def nodule_networks(fast: bool) -> dict[str, tuple[nn.Module, Tensor]]:
    """The network of lung.yaml and the default one at 32x32x32, each with one patch."""
    tiny = ["patch.size=[12, 12, 12]"] if fast else []
    experiment = config.load("lung", tiny).experiment
    component, _ = build.specification(experiment, "model")
    size, side = experiment.patch.size, 12 if fast else 32
    return {
        f"lung.yaml, {_by(size)}": (build.build_network(component, experiment, 2), patch(size)),
        f"nodule_capsnet, {_by([side] * 3)}": (
            NoduleCapsNet(3, 1, 2, (side, side, side)),
            patch([side] * 3),
        ),
    }


def patch(size: Any) -> Tensor:
    """One image ``[1, 1, *size]``."""
    return torch.rand(1, 1, *size)


def singles(rounds: int, fast: bool) -> dict[str, dict[str, float]]:
    """Median seconds of one image, by network, and by state and number of threads."""
    before, found = torch.get_num_threads(), {}
    for name, (network, image) in nodule_networks(fast).items():
        found[name] = {}
        for threads in (1,) if fast else (1, 2):
            torch.set_num_threads(threads)
            states = {
                "for inference": for_inference(network, image),
                "as trained": network,
                "int8": quantise(network),
            }
            steps = [
                Contestant(state, lambda net=net, image=image: predicting(net, image))
                for state, net in states.items()
            ]
            for timing in contest(steps, rounds, warmup=1 if fast else 2):
                found[name][f"{timing.name}, {threads} threads"] = timing.median_s
    torch.set_num_threads(before)
    return found


def measure(rounds: int, fast: bool = False) -> dict[str, Any]:
    """Times and memory of the batch, how far the scores are apart, seconds of single images."""
    compared = Compared(fast)
    found = standard(f"{__name__}:contestants", compared.contestants(), rounds, fast=fast)
    listener.get()("comparing scores, timing single images")
    return found | {
        "differences": compared.differences(),
        "singles": singles(rounds if fast else rounds * SINGLES, fast),
        "forms": compared.network(READY).forms,
    }


def bars(result: dict[str, Any]) -> list[Bar]:
    """What inference must show."""
    faster = named(result, TEXTBOOK)["median_s"] / named(result, READY)["median_s"]
    slowest = max(
        seconds
        for states in result["singles"].values()
        for state, seconds in states.items()
        if state.startswith("for inference")
    )
    return [
        Bar("times faster than the textbook", faster, 2.5),
        Bar("largest difference of scores", result["differences"][READY], 1e-5, most=True),
        Bar("milliseconds of one patch, nodule networks", 1e3 * slowest, 1e3 * LATENCY, most=True),
    ]


def lines(result: dict[str, Any]) -> list[str]:
    """Single images, the convolutions' forms, and the differences of the scores."""
    told = [
        f"One patch, {name}: "
        + "; ".join(f"{state} {1e3 * seconds:.2f} ms" for state, seconds in states.items())
        + "."
        for name, states in result["singles"].items()
    ]
    forms = ", ".join(f"`{name}` {form}" for name, form in result["forms"].items())
    apart = "; ".join(f"{name} {value:.1e}" for name, value in result["differences"].items())
    return [*told, f"Convolutions tuned: {forms}.", f"Scores differ from the textbook's: {apart}."]


def _by(size: Any) -> str:
    return "x".join(map(str, size))


def _apart(scores: Tensor, wanted: Tensor) -> float:
    return float((scores - wanted).abs().max() / wanted.abs().max())
