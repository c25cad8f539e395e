"""What every benchmark reports: times in turn, ratios to the first contestant, speed, memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from capsmed.engines.allocator import keep_freed_memory
from capsmed.engines.memory import peak_bytes
from tests.benchmarks import process
from tests.benchmarks.contest import Contestant, Timing, contest, listener
from tests.benchmarks.peaks import fresh_peak, listed
from tests.benchmarks.sgemm import SIZE, products


def standard(
    where: str,
    contestants: Sequence[Contestant],
    rounds: int,
    *,
    fast: bool = False,
    profiler: bool = True,
    before: int = 0,
) -> dict[str, Any]:
    """Measure ``contestants``, the machine's matrix products taking their turns among them.

    Args:
        where: module and function that lists them, as ``"package.module:function"``, for the
            new process in which memory is measured.
        contestants: what is compared; the first is ours.
        rounds: timed steps of each.
        fast: tiny sizes.
        profiler: measure memory by torch's profiler too, which sees one thread only.
        before: untimed steps before each timed one, see `contest`.

    Returns:
        ``rows``, one a contestant (see `row`), and ``sgemm``, the products' GFLOP/s.
    """
    torch.manual_seed(0)
    peaks = products(256 if fast else SIZE)
    timings = contest([*contestants, *peaks], rounds, warmup=1 if fast else 2, before=before)
    own, theirs = timings[: len(contestants)], timings[len(contestants) :]
    sgemm = {c.name: c.flop / t.median_s / 1e9 for c, t in zip(peaks, theirs, strict=True)}
    rows = [
        row(contestant, timing, own[0].median_s, max(sgemm.values()))
        for contestant, timing in zip(contestants, own, strict=True)
    ]
    for contestant, found in zip(contestants, rows, strict=True):
        found |= peaks_of(where, contestant, fast, profiler)
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


def peaks_of(
    where: str, contestant: Contestant, fast: bool = False, profiler: bool = True
) -> dict[str, int | None]:
    """Both peaks of one step in bytes, and the larger, which counts; fast: no new process."""
    profiled = profiled_peak(contestant) if profiler else None
    fresh = None if fast else fresh_peak(where, contestant.name)
    largest = max((n for n in (profiled, fresh) if n is not None), default=None)
    return {"profiled_bytes": profiled, "fresh_bytes": fresh, "peak_bytes": largest}


def profiled_peak(contestant: Contestant) -> int:
    """Most bytes of tensors alive at a time in a second step, above those alive before it."""
    listener.get()(f"memory of {contestant.name} by the profiler")
    step = contestant.build()
    step()
    return peak_bytes(step)


def otherwise(where: str, rounds: int, *, kept: bool, fast: bool = False) -> dict[str, float]:
    """Median seconds of contestants in a new process, where memory is handled in another way.

    Args:
        where: module and function that lists them, as ``"package.module:function"``.
        rounds: timed steps of each.
        kept: freed memory is kept for the next step, as `capsmed train` has it; else glibc's
            default is left as it is.
        fast: tiny sizes, in this process, whose memory is left alone.
    """
    if fast:
        return medians(where, rounds, kept=False, fast=True)
    found: dict[str, float] = process.call(f"{__name__}:medians", where, rounds, kept)
    return found


def medians(where: str, rounds: int, kept: bool, fast: bool = False) -> dict[str, float]:
    """Median seconds of each contestant, taking turns in this process; see `otherwise`."""
    torch.manual_seed(0)
    if kept:
        keep_freed_memory()
    timings = contest(listed(where, fast), rounds, warmup=1 if fast else 2)
    return {timing.name: timing.median_s for timing in timings}


def named(result: dict[str, Any], name: str) -> dict[str, Any]:
    """The row of a contestant."""
    found: dict[str, Any] = next(row for row in result["rows"] if row["name"] == name)
    return found
