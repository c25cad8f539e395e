"""Reading of options: names with settings, one value or one a stage, kernels and padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

PerAxis = int | Sequence[int]


def named(spec: str | Sequence[Any] | None) -> str | tuple[Any, ...]:
    """A MONAI layer's name, or pair of name and options, as MONAI takes it; None is ``""``."""
    return spec or "" if isinstance(spec, str) or spec is None else tuple(spec)


def per_stage(name: str, value: Any, stages: int, each: str = "each of channels") -> list[Any]:
    """Spread an option over the stages of an encoder.

    One value, or a list of one, serves all stages; otherwise there is one a stage.

    Raises:
        ValueError: the list has another length.

    >>> per_stage("strides", [2], 3)
    [2, 2, 2]
    """
    values = [value] if isinstance(value, (int, str)) or value is None else list(value)
    if len(values) == 1:
        return values * stages
    if len(values) != stages:
        raise ValueError(
            f"{name}: expected 1 or {stages} values (one for {each}), got {len(values)}"
        )
    return values


def resolve_padding(padding: PerAxis | str, kernel_size: PerAxis) -> PerAxis:
    """The number of voxels to pad; ``"same"`` keeps the size at stride 1.

    Raises:
        ValueError: an unknown word, or ``"same"`` with an even kernel.
    """
    if not isinstance(padding, str):
        return padding if isinstance(padding, int) else tuple(padding)
    kernel = (kernel_size,) if isinstance(kernel_size, int) else tuple(kernel_size)
    if padding != "same" or any(size % 2 == 0 for size in kernel):
        raise ValueError(
            f"padding: expected a number, or 'same' with odd kernels, "
            f"got {padding!r} with kernel {kernel_size}"
        )
    half = tuple((size - 1) // 2 for size in kernel)
    return half[0] if isinstance(kernel_size, int) else half


def conv_output_size(layer: Any, input_size: Sequence[int], where: str) -> tuple[int, ...]:
    """Spatial size that a convolution or pooling ``layer`` gives for ``input_size``.

    Raises:
        ValueError: the padded input is smaller than the kernel.
    """
    dims = len(input_size)
    kernel, stride, padding = (
        per_axis(getattr(layer, name), dims) for name in ("kernel_size", "stride", "padding")
    )
    least = [k - 2 * p for k, p in zip(kernel, padding, strict=True)]
    if any(n < m for n, m in zip(input_size, least, strict=True)):
        raise ValueError(
            f"{where}: expected an input of at least {least}, got {list(input_size)}; "
            "use a larger input, smaller kernels or strides, or padding 'same'"
        )
    return tuple((n - m) // s + 1 for n, m, s in zip(input_size, least, stride, strict=True))


def per_axis(value: PerAxis, dims: int) -> tuple[int, ...]:
    """One number an axis."""
    return (value,) * dims if isinstance(value, int) else tuple(value)
