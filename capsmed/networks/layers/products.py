"""Matrix products on the faster of the libraries that PyTorch carries."""

from __future__ import annotations

import torch
from torch import Tensor


def product(a: Tensor, b: Tensor) -> Tensor:
    """``a @ b`` of two matrices, either of which may be a view, transposed or part of another.

    On CPUs PyTorch takes float32 products to its BLAS, which for MKL on processors of other makers
    is at half the speed of oneDNN (187 against 397 GFLOP/s on two Zen 5 cores), so oneDNN's
    product is used where PyTorch has it. For a second matrix with gaps between its rows oneDNN
    has no fast kernel (137 ms instead of 0.2 for 64 x 16 x 9216), so that one is copied. Not
    differentiable; for use inside autograd functions.

    Args:
        a: ``[rows, inner]``.
        b: ``[inner, columns]``.

    Returns:
        ``[rows, columns]``, contiguous.
    """
    if _ONEDNN is not None and _fits(a) and _fits(b):
        result: Tensor = _ONEDNN(a, _packed(b.t()), None, "none", [], "")
        return result
    return torch.mm(a, b)


def _fits(matrix: Tensor) -> bool:
    return matrix.dtype == torch.float32 and matrix.device.type == "cpu"


def _packed(matrix: Tensor) -> Tensor:
    """The matrix itself if its rows or its columns follow each other without gaps, or a copy."""
    if matrix.is_contiguous() or matrix.t().is_contiguous():
        return matrix
    return matrix.contiguous() if matrix.stride(1) == 1 else matrix.t().contiguous().t()


def _find_onednn() -> torch._ops.OpOverloadPacket | None:
    if not torch.backends.mkldnn.is_available():
        return None
    return getattr(torch.ops.mkldnn, "_linear_pointwise", None)


_ONEDNN = _find_onednn()
