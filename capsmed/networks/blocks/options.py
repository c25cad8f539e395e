"""Reading of options: names with settings, one value or one a stage, kernels and padding."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from numbers import Integral
from typing import Any

from capsmed.errors import did_you_mean

PerAxis = int | Sequence[int]


def named(spec: str | Sequence[Any] | None) -> str | tuple[Any, ...]:
    """A MONAI layer's name, or pair of name and options, as MONAI takes it; None is ``""``."""
    return spec or "" if isinstance(spec, str) or spec is None else tuple(spec)


def at_least_one(**counts: int) -> None:
    """Refuse counts below one, and fractions.

    Raises:
        ValueError: names the first of ``counts`` that is below one or no whole number.

    >>> at_least_one(num_classes=0)
    Traceback (most recent call last):
    ...
    ValueError: num_classes: expected 1 or more, got 0
    """
    for name, count in counts.items():
        if not isinstance(count, Integral):
            raise ValueError(f"{name}: expected a whole number of 1 or more, got {count!r}")
        if count < 1:
            raise ValueError(f"{name}: expected 1 or more, got {count}")


def check_image_options(
    spatial_dims: int, in_channels: int, num_classes: int, input_size: Sequence[int]
) -> None:
    """Refuse what is no image or volume of some channels and classes.

    Raises:
        ValueError: names the option.

    >>> check_image_options(3, 1, 2, input_size=(64, 64))
    Traceback (most recent call last):
    ...
    ValueError: input_size: expected 3 numbers, one an axis, got [64, 64]
    """
    if spatial_dims not in (2, 3):
        raise ValueError(f"spatial_dims: expected 2 or 3, got {spatial_dims!r}")
    at_least_one(in_channels=in_channels, num_classes=num_classes)
    if not isinstance(input_size, Sequence) or isinstance(input_size, str):
        raise ValueError(f"input_size: expected one number an axis, got {input_size!r}")
    if len(input_size) != spatial_dims:
        raise ValueError(
            f"input_size: expected {spatial_dims} numbers, one an axis, got {list(input_size)}"
        )
    for size in input_size:
        at_least_one(input_size=size)


def name_and_options(spec: str | Sequence[Any]) -> tuple[str, dict[str, Any]] | None:
    """The parts of a name, or of a pair of name and options; None where it is neither."""
    if isinstance(spec, str):
        return spec, {}
    if not isinstance(spec, (list, tuple)) or len(spec) != 2:
        return None
    name, options = spec
    return (name, dict(options)) if isinstance(name, str) and isinstance(options, dict) else None


def only_known(
    where: str, constructor: Callable[..., Any], given: Iterable[str], first: int
) -> None:
    """Refuse options that ``constructor`` does not take.

    Args:
        where: begins the message.
        constructor: a class or function.
        given: names of options.
        first: number of its parameters, from the first on, that are no options.

    Raises:
        ValueError: lists the options, with the nearest name of the first that is foreign.
    """
    parameters = inspect.signature(constructor).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    known = [parameter.name for parameter in parameters][first:]
    foreign = [option for option in given if option not in known]
    if foreign:
        advice = did_you_mean(str(foreign[0]), known) or "; leave it out"
        raise ValueError(
            f"{where}: expected options of {known or 'none'}, "
            f"got {', '.join(map(repr, foreign))}{advice}"
        )


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


class TooSmall(ValueError):
    """What reaches a layer is smaller than its kernel.

    Args:
        found: where, what was expected and what came.
    """

    def __init__(self, found: str) -> None:
        self.found = found
        remedy = "use a larger input, smaller kernels or strides, or padding 'same'"
        super().__init__(f"{found}; {remedy}")


@contextmanager
def remedy(advice: str) -> Iterator[None]:
    """Give ``advice`` of one's own where an input is `TooSmall`: a network's own options."""
    try:
        yield
    except TooSmall as error:
        raise ValueError(f"{error.found}; {advice}") from None


def conv_output_size(layer: Any, input_size: Sequence[int], where: str) -> tuple[int, ...]:
    """Spatial size that a convolution or pooling ``layer`` gives for ``input_size``.

    Raises:
        TooSmall: the padded input is smaller than the kernel.
    """
    dims = len(input_size)
    kernel, stride, padding = (
        per_axis(getattr(layer, name), dims) for name in ("kernel_size", "stride", "padding")
    )
    least = [k - 2 * p for k, p in zip(kernel, padding, strict=True)]
    if any(n < m for n, m in zip(input_size, least, strict=True)):
        raise TooSmall(f"{where}: expected an input of at least {least}, got {list(input_size)}")
    return tuple((n - m) // s + 1 for n, m, s in zip(input_size, least, stride, strict=True))


def per_axis(value: PerAxis, dims: int) -> tuple[int, ...]:
    """One number an axis."""
    return (value,) * dims if isinstance(value, int) else tuple(value)
