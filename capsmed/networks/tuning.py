"""Which way of computing a convolution is the fastest here, measured once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from capsmed.networks.layers.spectral_conv import direct, geometry_of, replaceable, spectral

#: Smaller kernels gain nothing: what is saved in products is lost in transforms.
SMALLEST_KERNEL = 5
#: A change must be this many times faster, so that noise does not choose.
PAYS = 1.2
_ROUNDS = 3
_CONVOLUTIONS = (nn.Conv2d, nn.Conv3d)


def candidates(network: nn.Module, image: Tensor) -> dict[str, Tensor]:
    """Convolutions with large kernels that could be computed by Fourier coefficients.

    Args:
        network: the network; its mode and parameters stay as they are.
        image: a batch ``[batch, channels, ...]`` of the size that it will meet.

    Returns:
        Name in ``network`` -> the input ``[batch, in, ...]`` that it meets; it requires a gradient
        if training computes one there.
    """
    with _listening(network) as found, torch.enable_grad():
        training = {name: module.training for name, module in network.named_modules()}
        network.eval()
        try:
            network(image)
        finally:
            for name, module in network.named_modules():
                module.training = training[name]
    return {name: met for name, met in found.items() if _possible(network.get_submodule(name), met)}


def tune_convolutions(
    network: nn.Module, image: Tensor, *, precision: str = "float32"
) -> dict[str, str]:
    """Time each of the `candidates`, forward and backward, and replace those where it pays.

    Parameters stay the same objects under the same names. The result differs by rounding.

    Args:
        network: changed in place.
        image: a batch ``[batch, channels, ...]`` as training will meet it.
        precision: ``"float32"``, or ``"bfloat16"`` for training in mixed precision.

    Returns:
        Name -> ``"spectral"`` or ``"direct"``, for each candidate.

    Raises:
        ValueError: there is no such precision.
    """
    if precision not in ("float32", "bfloat16"):
        raise ValueError(f"precision: expected 'float32' or 'bfloat16', got {precision!r}")
    found = candidates(network, image)
    choice = fastest(seconds_of_ways(network, found, precision))
    use_convolutions(network, choice)
    return choice


def seconds_of_ways(
    network: nn.Module, found: Mapping[str, Tensor], precision: str = "float32"
) -> dict[str, dict[str, float]]:
    """Seconds of ``direct`` and ``spectral``, forward and backward, of each convolution.

    Args:
        network: stays as it is.
        found: its `candidates`.
        precision: see `tune_convolutions`.
    """
    times = {}
    for name, met in found.items():
        conv: Any = network.get_submodule(name)
        ways = {"direct": direct(conv), "spectral": spectral(conv)}
        times[name] = measure(ways, met, precision)
    return times


def fastest(seconds: Mapping[str, Mapping[str, float]]) -> dict[str, str]:
    """The way of each convolution: another than ``direct`` only where it clearly pays."""
    return {
        name: "spectral" if ways["direct"] >= PAYS * ways["spectral"] else "direct"
        for name, ways in seconds.items()
    }


def use_convolutions(network: nn.Module, choice: Mapping[str, str]) -> None:
    """Apply what `tune_convolutions` returned, without measuring.

    Args:
        network: changed in place.
        choice: name -> ``"spectral"`` or ``"direct"``.

    Raises:
        ValueError: ``network`` has no convolution of that name, or there is no such way.
    """
    modules = dict(network.named_modules())
    for name, way in choice.items():  # all before the first is replaced
        if not isinstance(modules.get(name), _CONVOLUTIONS):
            raise ValueError(f"choice: expected names of convolutions, got {name!r}")
        if way not in ("spectral", "direct"):
            raise ValueError(f"choice: {name}: expected 'spectral' or 'direct', got {way!r}")
    for name, way in choice.items():
        conv: Any = modules[name]
        parent, _, last = name.rpartition(".")
        made = spectral(conv) if way == "spectral" else direct(conv)
        setattr(network.get_submodule(parent), last, made)


def measure(
    ways: Mapping[str, nn.Module], image: Tensor, precision: str = "float32"
) -> dict[str, float]:
    """Seconds of forward and backward of each module, the fastest of interleaved rounds.

    Args:
        ways: modules that take ``image``.
        image: their input; without ``requires_grad`` no gradient of it is computed.
        precision: see `tune_convolutions`.
    """
    steps = {name: _step(module, image, precision) for name, module in ways.items()}
    best = dict.fromkeys(steps, float("inf"))
    for _ in range(_ROUNDS):
        for name, step in steps.items():
            started = time.perf_counter()
            step()
            best[name] = min(best[name], time.perf_counter() - started)
    return best


def _step(module: nn.Module, image: Tensor, precision: str) -> Callable[[], object]:
    needed = [each for each in (image, *module.parameters()) if each.requires_grad]

    def step() -> object:
        with torch.autocast(image.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            result = module(image)
        return torch.autograd.grad(result, needed, torch.ones_like(result))

    return step


def _possible(conv: nn.Module, image: Tensor) -> bool:
    if not isinstance(conv, _CONVOLUTIONS) or not replaceable(conv):
        return False
    learns = image.requires_grad or any(each.requires_grad for each in conv.parameters())
    large = min(conv.kernel_size) >= SMALLEST_KERNEL
    return learns and large and geometry_of(conv, image).feasible


@contextmanager
def _listening(network: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Keep what each convolution is given while the block runs."""
    found: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def hook(module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            met = arguments[0]
            found[name] = met.detach().requires_grad_(met.requires_grad)

        return hook

    convolutions = [(n, m) for n, m in network.named_modules() if isinstance(m, _CONVOLUTIONS)]
    hooks = [module.register_forward_pre_hook(keep(name)) for name, module in convolutions]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()
