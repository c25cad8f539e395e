"""How the cost grows: capsule layer by input capsules, classes and batch; network by pixels.

Forward and backward, freed memory kept for the next step as in training: what glibc gives back to
the system must be cleared page by page when it comes again, and it gives back more of large sizes.
Each sweep has its own empty size, where what is swept is one (for pixels:
the smallest image that the kernels allow); an exponent is fitted to the points that take at least
ten times as long.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from capsmed.engines.allocator import freed_memory_kept
from capsmed.engines.memory import allocations
from capsmed.losses import CapsuleLoss
from capsmed.networks import CapsNet, TrainingWrapper
from tests.benchmarks import capsule_layer
from tests.benchmarks.capsule_layer import FULL, LAST, TEXTBOOK, Sizes
from tests.benchmarks.contest import Bar, Contestant, Timing, contest, listener
from tests.benchmarks.standard import profiled_peak
from tests.benchmarks.table import duration, markdown, size
from tests.benchmarks.textbook import PASSES

TIMES_EMPTY = 10.0
SPAN = 16.0
#: Of the textbook's copies of W; it keeps several arrays of that size.
MOST_BYTES = 0.8e9
ROUNDS = 5


@dataclass(frozen=True)
class Axis:
    """One sweep of the layer.

    Attributes:
        name: what grows.
        sizes: its sizes, timed; the small ones may cost too little to be fitted.
        at: layer's sizes and batch for one of them.
        fewer: further, smaller sizes whose memory alone is measured.
    """

    name: str
    sizes: tuple[int, ...]
    at: Callable[[int], tuple[Sizes, int]]
    fewer: tuple[int, ...] = ()


INPUTS, CLASSES, SAMPLES = "input capsules", "classes", "batch"
AXES = (
    Axis(INPUTS, (288, 576, 1152, 2304, 4608), lambda n: ((n, 10, 8, 16), 128)),
    Axis(CLASSES, (16, 32, 64, 128, 256, 512), lambda n: ((1152, n, 8, 16), 32), (4, 8)),
    Axis(SAMPLES, (64, 128, 256, 512, 1024, 2048), lambda n: ((1152, 10, 8, 16), n)),
)
TINY_AXES = (
    Axis(INPUTS, (32, 64), lambda n: ((n, 4, 2, 3), 3)),
    Axis(CLASSES, (4, 8), lambda n: ((64, n, 2, 3), 3), (2,)),
)
#: Classes up to which the memory beside the arrays that everybody needs is to stay as it is; of
#: more, the higher capsules themselves outgrow it.
FEW_CLASSES = 64
#: Sides of square images; the paper's two kernels of 9 need 17.
SIDES, EMPTY_SIDE = (28, 40, 56, 80, 112), 17
TINY_SIDES = (18, 20)


def measure(rounds: int, fast: bool = False) -> dict[str, Any]:
    """Every sweep of every layer, and the network's, each interleaved in itself."""
    torch.manual_seed(0)
    sweeps = []
    with freed_memory_kept():
        for axis in TINY_AXES if fast else AXES:
            for name in (LAST, FULL, TEXTBOOK):
                sweeps.append(sweep_layer(name, axis, rounds))
        return {"sweeps": [*sweeps, sweep_network(rounds, fast)]}


def sweep_layer(name: str, axis: Axis, rounds: int) -> dict[str, Any]:
    """Times and memory of one layer over one axis."""
    sizes = _fitting(name, axis)
    timings = contest([_layer(name, axis, number) for number in (1, *sizes)], rounds, warmup=1)
    found = _found(name, axis.name, (1, *sizes), timings)
    fewer = [{"size": number} for number in axis.fewer]
    for point in [*fewer, *found["points"]]:
        listener.get()(f"memory of {name}, {axis.name} {point['size']}")
        point |= memory(name, *axis.at(point["size"]))
    return found | {"fewer": fewer}


def sweep_network(rounds: int, fast: bool) -> dict[str, Any]:
    """Times and memory of the paper's network, without decoder, over the pixels of one image."""
    sides = (EMPTY_SIDE, *_sides(fast))
    timings = contest([_network(side, fast) for side in sides], rounds, warmup=1)
    found = _found("capsmed network", "pixels", [side**2 for side in sides], timings)
    for side, point in zip(sides[1:], found["points"], strict=True):
        listener.get()(f"memory of the network, side {side}")
        point["peak_bytes"] = profiled_peak(_network(side, fast))
    return found


def exponent(points: Sequence[tuple[float, float]], empty: float) -> dict[str, float] | None:
    """Slope of log seconds over log size, of the points that take ten times ``empty``.

    Args:
        points: pairs of size and seconds.
        empty: seconds of the empty size.

    Returns:
        ``exponent`` and ``span``, the largest size over the smallest of those; None where fewer
        than two remain.
    """
    used = [(x, y) for x, y in points if y >= TIMES_EMPTY * empty]
    if len(used) < 2:
        return None
    sizes, seconds = np.array(used).T
    slope = np.polyfit(np.log(sizes), np.log(seconds), 1)[0]
    return {"exponent": float(slope), "span": float(sizes.max() / sizes.min())}


def memory(name: str, sizes: Sizes, batch: int) -> dict[str, int]:
    """Peak bytes of a step, of that what is neither gradient nor couplings, and those couplings.

    The gradient of all passes needs the couplings of each, that of the last needs one array.
    """
    step = capsule_layer.step(name, sizes, batch)
    step()
    taken = allocations(step)
    in_capsules, out_capsules, in_dim, out_dim = sizes
    lower = 4 * batch * in_capsules
    couplings = [lower * out_capsules] * (1 if name == LAST else PASSES)
    known = [lower * in_dim, 4 * in_capsules * out_capsules * in_dim * out_dim, *couplings]
    return {
        "peak_bytes": peak(taken),
        "beyond_bytes": peak(taken, known),
        "couplings_bytes": sum(couplings),
    }


def peak(taken: Sequence[int], known: Sequence[int] = ()) -> int:
    """Most bytes alive at a time, leaving out one array for each size in ``known``.

    Args:
        taken: bytes that are taken (positive) or given back (negative), in order.
        known: bytes of arrays that are not counted.
    """
    alive = most = 0
    wanted, counts = Counter(known), Counter[int]()
    for number in taken:
        alive += number
        counts[abs(number)] += 1 if number > 0 else -1
        left_out = sum(n * max(0, min(many, counts[n])) for n, many in wanted.items())
        most = max(most, alive - left_out)
    return most


def bars(result: dict[str, Any]) -> list[Bar]:
    """What issue and page ask of capsmed's layer; a sweep that is too short has no exponent."""
    found = []
    for sweep in result["sweeps"]:
        if sweep["name"] != LAST:
            continue
        fit = sweep["fit"] or {"exponent": float("nan"), "span": 1.0}
        found.append(Bar(f"exponent in {sweep['axis']}", fit["exponent"], 1.05, most=True))
        found.append(Bar(f"range of that fit in {sweep['axis']}", fit["span"], SPAN))
        if sweep["axis"] == CLASSES:
            few = f"{_few(sweep)[0]['size']} to {_few(sweep)[-1]['size']}"
            what = f"memory beyond gradients and couplings, {few} classes, ± from the middle"
            found.append(Bar(what, spread(sweep), 0.1, most=True))
    return found


def spread(sweep: dict[str, Any]) -> float:
    """How far the memory beyond gradients and couplings goes from its middle, as a share."""
    beyond = [point["beyond_bytes"] for point in _few(sweep)]
    return (max(beyond) - min(beyond)) / (max(beyond) + min(beyond))


def _few(sweep: dict[str, Any]) -> list[dict[str, Any]]:
    """The points of at most `FEW_CLASSES` classes."""
    listed: list[dict[str, Any]] = [*sweep["fewer"], *sweep["points"]]
    return [point for point in listed if point["size"] <= FEW_CLASSES]


def lines(result: dict[str, Any]) -> list[str]:
    """A table of exponents, and one of the points."""
    fits, points = [], []
    head = ["", "size", "median", "peak", "beyond gradients and couplings", "couplings"]
    for sweep in result["sweeps"]:
        fit = sweep["fit"]
        told = [f"{fit['exponent']:.3f}", f"{fit['span']:.3g}"] if fit else ["too few", ""]
        fits.append([sweep["name"], sweep["axis"], duration(sweep["empty_s"]), *told])
        for point in [*sweep.get("fewer", []), *sweep["points"]]:
            timed = duration(point["median_s"]) if "median_s" in point else ""
            cells = [timed, size(point["peak_bytes"])]
            cells += [size(point.get(key)) for key in ("beyond_bytes", "couplings_bytes")]
            points.append([sweep["name"], f"{sweep['axis']} {point['size']:,}", *cells])
    full = next(s for s in result["sweeps"] if (s["name"], s["axis"]) == (FULL, CLASSES))
    return [
        "For information: with the full gradient, memory beyond gradients and the couplings of "
        f"all {PASSES} passes stays within ± {spread(full):.1%} of its middle up to "
        f"{FEW_CLASSES} classes. Of hundreds of classes the higher capsules themselves, batch x "
        "classes x components, are more than all else that is beyond gradients and couplings.",
        markdown(["", "grows", "empty", "exponent", "range of sizes"], fits),
        markdown(head, points),
    ]


def _found(name: str, axis: str, sizes: Sequence[int], timings: Sequence[Timing]) -> dict[str, Any]:
    empty = timings[0]
    points: list[dict[str, Any]] = [
        {"size": number, "median_s": timing.median_s, "seconds": list(timing.seconds)}
        for number, timing in zip(sizes[1:], timings[1:], strict=True)
    ]
    fit = exponent([(p["size"], p["median_s"]) for p in points], empty.median_s)
    facts = {"empty_s": empty.median_s, "empty_seconds": list(empty.seconds)}
    return {"name": name, "axis": axis, **facts, "points": points, "fit": fit}


def _fitting(name: str, axis: Axis) -> tuple[int, ...]:
    """The sizes that a layer has memory for."""
    if name != TEXTBOOK:
        return axis.sizes
    return tuple(n for n in axis.sizes if 4 * _numbers(*axis.at(n)) <= MOST_BYTES)


def _numbers(sizes: Sizes, batch: int) -> int:
    return batch * int(np.prod(sizes))


def _layer(name: str, axis: Axis, number: int) -> Contestant:
    sizes, batch = axis.at(number)
    return Contestant(
        f"{name}, {axis.name} {number}", lambda: capsule_layer.step(name, sizes, batch)
    )


def _sides(fast: bool) -> tuple[int, ...]:
    return TINY_SIDES if fast else SIDES


def _network(side: int, fast: bool) -> Contestant:
    channels = 8 if fast else 256

    def build() -> Callable[[], None]:
        network = CapsNet(
            2, 1, 10, (side, side), (channels,), primary_capsules=channels // 8, decoder=None
        )
        wrapper, loss = TrainingWrapper(network).train(), CapsuleLoss()
        image, target = torch.rand(1, 1, side, side), torch.tensor([3])

        def step() -> None:
            loss(wrapper(image, target), target).backward()
            network.zero_grad(set_to_none=True)

        return step

    return Contestant(f"network, side {side}", build)
