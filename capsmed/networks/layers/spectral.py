r"""Strided convolution with a large kernel by way of its Fourier coefficients.

A convolution is a product frequency by frequency. A stride of ``s`` splits image and kernel into
``s`` phases an axis, whose convolutions without stride are summed; so

.. math:: Y_f = \sum_{p, c} X_f^{p,c} \, \overline{W_f^{p,c}}

over phases p and channels c, one small complex matrix product a frequency f. The transforms are
real matrix products (`capsmed.networks.layers.fourier`), which lay the frequencies out as those
products read them. The 9x9 convolution of the paper's network (256 channels, 20x20 to 6x6) takes
10 GFLOP in place of 49 at batch 128, and the same again for each gradient.

The result is that of the direct convolution but for rounding (about 1e-6 of the largest value).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from capsmed.networks.layers.fourier import real_fourier
from capsmed.networks.layers.products import product

#: A transform is a matrix of this many rows at most; beyond, it would cost more than it saves.
MAX_COEFFICIENTS = 400


@dataclass(frozen=True)
class Geometry:
    """Sizes of one convolution, an entry an axis.

    Attributes:
        image: size of the padded image.
        kernel: size of the kernel.
        stride: stride.
    """

    image: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def output(self) -> tuple[int, ...]:
        """Size of the result."""
        sizes = zip(self.image, self.kernel, self.stride, strict=True)
        return tuple((n - k) // s + 1 for n, k, s in sizes)

    @property
    def taps(self) -> tuple[int, ...]:
        """Size of one phase of the kernel."""
        return tuple(-(-k // s) for k, s in zip(self.kernel, self.stride, strict=True))

    @property
    def window(self) -> tuple[int, ...]:
        """Size of one phase of the image, which is that of the transform."""
        return tuple(o + t - 1 for o, t in zip(self.output, self.taps, strict=True))

    @property
    def feasible(self) -> bool:
        """Whether the kernel fits and the transform is small enough to be a matrix."""
        return min(self.output) > 0 and math.prod(self.window) <= MAX_COEFFICIENTS


@dataclass(frozen=True)
class Plan:
    """Transform matrices of a geometry, in the dtype and on the device of the data."""

    singles: int
    pairs: int
    image: Tensor  # [coefficients, window]
    kernel: Tensor  # [coefficients, taps]
    output: Tensor  # [output, coefficients]

    def parts(self, coefficients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Single frequencies, and real and imaginary parts of the pairs."""
        single, real, imaginary = coefficients.split([self.singles, self.pairs, self.pairs])
        return single, real, imaginary


@lru_cache(maxsize=32)
def plan_of(geometry: Geometry, dtype: torch.dtype, device: torch.device) -> Plan:
    """Transform matrices of a geometry, kept for the next call."""
    window = geometry.window
    fourier = real_fourier(window)

    def matrix(values: Any) -> Tensor:
        return torch.from_numpy(values.copy()).to(device, dtype)

    def within(size: Sequence[int]) -> Any:
        inside = torch.zeros(window, dtype=torch.bool)
        inside[tuple(slice(n) for n in size)] = True
        return inside.flatten().numpy()

    return Plan(
        fourier.singles,
        fourier.pairs,
        matrix(fourier.forward),
        matrix(fourier.conjugate[:, within(geometry.taps)]),
        matrix(fourier.inverse[within(geometry.output)]),
    )


def split_phases(values: Tensor, stride: Sequence[int], size: Sequence[int]) -> Tensor:
    """Lay out the phases of strided axes side by side.

    Args:
        values: ``[first, channels, ...]``; cropped or filled with zeros to what is needed.
        stride: number of phases an axis.
        size: size of a phase.

    Returns:
        ``[first, phases x channels, numbers of a phase]``, contiguous.
    """
    fill = []
    for n, s, k in zip(reversed(values.shape[2:]), reversed(stride), reversed(size), strict=True):
        fill += [0, s * k - n]
    values = F.pad(values, fill) if any(fill) else values
    axes = [length for pair in zip(size, stride, strict=True) for length in pair]
    dims = len(stride)
    order = (0, *range(3, 2 + 2 * dims, 2), 1, *range(2, 2 + 2 * dims, 2))
    laid = values.reshape(*values.shape[:2], *axes).permute(order)
    phases = math.prod(stride) * values.shape[1]
    return laid.reshape(values.shape[0], phases, math.prod(size))


def join_phases(
    phases: Tensor, stride: Sequence[int], size: Sequence[int], whole: Sequence[int]
) -> Tensor:
    """Undo `split_phases`.

    Args:
        phases: ``[first, phases x channels, numbers of a phase]``.
        stride: number of phases an axis.
        size: size of a phase.
        whole: spatial size to return; what is missing is zero.
    """
    dims = len(stride)
    channels = phases.shape[1] // math.prod(stride)
    laid = phases.unflatten(2, tuple(size)).unflatten(1, (*stride, channels))
    order = [0, 1 + dims]
    for axis in range(dims):
        order += [2 + dims + axis, 1 + axis]
    laid = laid.permute(order)
    joined = laid.reshape(*laid.shape[:2], *(k * s for k, s in zip(size, stride, strict=True)))
    fill = []
    for n, have in zip(reversed(whole), reversed(joined.shape[2:]), strict=True):
        fill += [0, n - have]
    return F.pad(joined, fill) if any(fill) else joined


def coefficients_of(matrix: Tensor, numbers: Tensor) -> Tensor:
    """``[coefficients, first, second]`` of ``numbers [first, second, numbers]``."""
    return product(matrix, numbers.flatten(0, 1).t()).unflatten(1, numbers.shape[:2])


def _numbers(matrix: Tensor, coefficients: Tensor) -> Tensor:
    """``[first, second, numbers]`` (a view) of ``[coefficients, first, second]``."""
    flat = product(matrix, coefficients.flatten(1))
    return flat.unflatten(1, coefficients.shape[1:]).permute(1, 2, 0)


def multiply(plan: Plan, a: Tensor, b: Tensor, conjugate: bool = False) -> Tensor:
    """Multiply the matrices of each frequency, ``a @ b``, or ``a @ conjugate(b)``.

    Complex products take three real ones (Gauss). The smaller factor should be ``a``, of which
    two sums are made; of ``b`` it is one.

    Args:
        plan: how the coefficients are laid out.
        a: ``[coefficients, rows, inner]``.
        b: ``[coefficients, inner, columns]``.
        conjugate: take the conjugate of ``b``.

    Returns:
        ``[coefficients, rows, columns]``.
    """
    out = a.new_empty(len(a), a.shape[1], b.shape[2])
    singles = (plan.parts(each)[0] for each in (a, b, out))
    for one, other, into in zip(*singles, strict=True):
        into.copy_(product(one, other))
    pairs = (part for each in (a, b, out) for part in plan.parts(each)[1:])
    for a_real, a_imaginary, b_real, b_imaginary, real, imaginary in zip(*pairs, strict=True):
        sign = -1 if conjugate else 1
        first = product(a_real, torch.add(b_real, b_imaginary, alpha=sign))
        second = product(a_imaginary - a_real, b_real)
        third = product(a_real + a_imaginary, b_imaginary)
        torch.sub(first, third, alpha=sign, out=real)
        torch.add(first, second, out=imaginary)
    return out


class SpectralConvolution(torch.autograd.Function):
    """The convolution of a padded image, with gradients of image and kernel.

    Coefficients of image and kernel are kept for the backward pass. In the paper's geometry they
    are as many numbers as the image and 4.9 times those of the kernel. Where gradients are to be
    differentiated again, PyTorch's own convolution computes them.
    """

    @staticmethod
    def forward(ctx: Any, image: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
        """``[batch, out, ...]`` of ``image [batch, in, ...]`` and ``weight [out, in, ...]``."""
        plan = plan_of(geometry, image.dtype, image.device)
        seen = coefficients_of(plan.image, split_phases(image, geometry.stride, geometry.window))
        kernel = kernel_coefficients(weight, geometry)
        ctx.geometry = geometry
        ctx.save_for_backward(image, weight, seen, kernel)
        return convolve(seen, kernel, geometry)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of image and weight, those that are asked for."""
        original, filters, seen, kernel = ctx.saved_tensors
        geometry: Geometry = ctx.geometry
        if torch.is_grad_enabled():
            wanted = [*ctx.needs_input_grad[:2], False]
            return (*_direct_gradients(grad, original, filters, geometry, wanted), None)
        plan = plan_of(geometry, grad.dtype, grad.device)
        sent = coefficients_of(plan.output.t(), grad.flatten(2))
        image = weight = None
        if ctx.needs_input_grad[0]:
            back = multiply(plan, sent, kernel, conjugate=True)
            image = _join(plan.image, back, geometry.stride, geometry.window, geometry.image)
        if ctx.needs_input_grad[1]:
            back = multiply(plan, sent.transpose(1, 2).contiguous(), seen, conjugate=True)
            weight = _join(plan.kernel, back, geometry.stride, geometry.taps, geometry.kernel)
        return image, weight, None


def _direct_gradients(
    grad: Tensor, image: Tensor, weight: Tensor, geometry: Geometry, wanted: list[bool]
) -> tuple[Tensor | None, Tensor | None]:
    """Gradients of image and weight that can be differentiated."""
    none, ones = [0] * len(geometry.kernel), [1] * len(geometry.kernel)
    rest = (list(geometry.stride), none, ones, False, none, 1, wanted)
    gradients = torch.ops.aten.convolution_backward(grad, image, weight, None, *rest)
    return gradients[0], gradients[1]


def kernel_coefficients(weight: Tensor, geometry: Geometry) -> Tensor:
    """Coefficients of a kernel, ``[coefficients, out, phases x in]``."""
    plan = plan_of(geometry, weight.dtype, weight.device)
    return coefficients_of(plan.kernel, split_phases(weight, geometry.stride, geometry.taps))


def convolve(seen: Tensor, kernel: Tensor, geometry: Geometry) -> Tensor:
    """The result ``[batch, out, ...]`` from the coefficients of image and kernel."""
    plan = plan_of(geometry, seen.dtype, seen.device)
    mixed = multiply(plan, seen, kernel.transpose(1, 2))
    return _numbers(plan.output, mixed).contiguous().unflatten(2, geometry.output)


def _join(
    matrix: Tensor,
    coefficients: Tensor,
    stride: Sequence[int],
    size: Sequence[int],
    whole: Sequence[int],
) -> Tensor:
    numbers = _numbers(matrix.t(), coefficients)
    return join_phases(numbers, stride, size, whole)
