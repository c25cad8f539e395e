"""What the machine can do: its fastest products of two float32 matrices."""

from __future__ import annotations

from collections.abc import Callable

import torch

from tests.benchmarks.contest import Contestant

SIZE = 2048
MKL, ONEDNN = "matrix product (MKL)", "matrix product (oneDNN)"


def products(size: int = SIZE) -> list[Contestant]:
    """The product of two square matrices by ``torch.mm`` and, where there is one, by oneDNN."""
    flop = 2.0 * size**3
    found = [Contestant(MKL, lambda: _mkl(size), flop)]
    if torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        found.append(Contestant(ONEDNN, lambda: _onednn(size), flop))
    return found


def _mkl(size: int) -> Callable[[], object]:
    left, right = torch.rand(size, size), torch.rand(size, size)
    out = torch.empty(size, size)
    return lambda: torch.mm(left, right, out=out)


def _onednn(size: int) -> Callable[[], object]:
    rows = torch.rand(size, size)
    packed = torch.ops.mkldnn._reorder_linear_weight(torch.rand(size, size), size)
    linear = torch.ops.mkldnn._linear_pointwise
    return lambda: linear(rows, packed, None, "none", [], "")
