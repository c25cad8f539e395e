"""What every benchmark reports: times in turn, ratios to the first contestant, speed, memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from tests.benchmarks.contest import Contestant, Timing, contest, listener
from tests.benchmarks.peaks import fresh_peak, profiled_peak
from tests.benchmarks.sgemm import SIZE, products


def standard(
    where: str,
    contestants: Sequence[Contestant],
    rounds: int,
    *,
    fast: bool = False,
    memory: bool = True,
) -> dict[str, Any]:
    """Measure ``contestants``, the machine's matrix products taking their turns among them.

    Args:
        where: module and function that lists them, as ``"package.module:function"``, for the
            new process in which memory is measured.
        contestants: what is compared; the first is ours.
        rounds: timed steps of each.
        fast: tiny sizes.
        memory: measure the peaks too.

    Returns:
        ``rows``, one a contestant (see `row`), and ``sgemm``, the products' GFLOP/s.
    """
    torch.manual_seed(0)
    peaks = products(256 if fast else SIZE)
    timings = contest([*contestants, *peaks], rounds, warmup=1 if fast else 2)
    own, theirs = timings[: len(contestants)], timings[len(contestants) :]
    sgemm = {c.name: c.flop / t.median_s / 1e9 for c, t in zip(peaks, theirs, strict=True)}
    rows = [
        row(contestant, timing, own[0].median_s, max(sgemm.values()))
        for contestant, timing in zip(contestants, own, strict=True)
    ]
    if memory:
        for contestant, found in zip(contestants, rows, strict=True):
            found |= peaks_of(where, contestant, fast)
    return {"rows": rows, "sgemm": sgemm}


def row(contestant: Contestant, timing: Timing, ours_s: float, sgemm: float) -> dict[str, Any]:
    """A contestant's figures; ``ratio`` is its median over ours, ``share`` that of ``sgemm``."""
    speed = contestant.flop / timing.median_s / 1e9
    return {
        "name": contestant.name,
        "median_s": timing.median_s,
        "minimum_s": timing.minimum_s,
        "ratio": timing.median_s / ours_s,
        "flop": contestant.flop,
        "gflops": speed,
        "share": speed / sgemm,
        "note": contestant.note,
        "seconds": list(timing.seconds),
    }


def peaks_of(where: str, contestant: Contestant, fast: bool = False) -> dict[str, int | None]:
    """Both peaks of one step in bytes, and the larger, which counts; fast: no new process."""
    listener.get()(f"memory of {contestant.name} by the profiler")
    step = contestant.build()
    step()
    profiled = profiled_peak(step)
    del step  # the new process needs the memory
    fresh = None if fast else fresh_peak(where, contestant.name)
    largest = max(profiled, fresh or 0)
    return {"profiled_bytes": profiled, "fresh_bytes": fresh, "peak_bytes": largest}


def named(result: dict[str, Any], name: str) -> dict[str, Any]:
    """The row of a contestant."""
    found: dict[str, Any] = next(row for row in result["rows"] if row["name"] == name)
    return found
