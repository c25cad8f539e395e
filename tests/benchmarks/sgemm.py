"""What the machine can do: its fastest products of two float32 matrices."""

from __future__ import annotations

from collections.abc import Callable

import torch

from tests.benchmarks.contest import Contestant, contest

SIZE = 2048
MKL, ONEDNN = "matrix product (MKL)", "matrix product (oneDNN)"


def products(size: int = SIZE) -> list[Contestant]:
    """The product of two square matrices by ``torch.mm`` and, where there is one, by oneDNN."""
    flop = 2.0 * size**3
    found = [Contestant(MKL, lambda: _mkl(size), flop)]
    if torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        found.append(Contestant(ONEDNN, lambda: _onednn(size), flop))
    return found


def sgemm_peak(rounds: int = 7, size: int = SIZE) -> dict[str, float]:
    """GFLOP/s of each product, median of interleaved rounds."""
    found = products(size)
    timings = contest(found, rounds)
    return {c.name: c.flop / t.median_s / 1e9 for c, t in zip(found, timings, strict=True)}


def _mkl(size: int) -> Callable[[], object]:
    left, right = torch.rand(size, size), torch.rand(size, size)
    out = torch.empty(size, size)
    return lambda: torch.mm(left, right, out=out)


def _onednn(size: int) -> Callable[[], object]:
    rows = torch.rand(size, size)
    packed = torch.ops.mkldnn._reorder_linear_weight(torch.rand(size, size), size)
    linear = torch.ops.mkldnn._linear_pointwise
    return lambda: linear(rows, packed, None, "none", [], "")
