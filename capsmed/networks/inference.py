"""A network made ready to predict: the same scores, faster."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Collection, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from capsmed.networks.folding import fold
from capsmed.networks.layers.inference_conv import PLAIN, InferenceConv
from capsmed.networks.layers.int8_conv import Int8Conv
from capsmed.networks.layers.plain import plain
from capsmed.networks.layers.spectral_conv import SpectralConv2d, SpectralConv3d, direct
from capsmed.networks.layers.votes import exporting
from capsmed.networks.parts import check, longest
from capsmed.networks.wrapper import TrainingWrapper

DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)


class InferenceNetwork(nn.Module):
    """Class scores of a network, without gradients; made by `for_inference`.

    Attributes:
        network: the network itself, its parts called as before.
        score_kind: what the scores are: see `probabilities`.
        num_classes: number of classes.
        folded: names of the batch norms that are part of a convolution now.
    """

    def __init__(self, network: nn.Module, folded: list[str]) -> None:
        super().__init__()
        self.network = network
        self.score_kind = str(network.score_kind)
        self.num_classes = int(network.num_classes)  # type: ignore[arg-type]
        self.folded = folded
        self.eval()

    def train(self, mode: bool = True) -> InferenceNetwork:
        """Stay in evaluation mode: there is nothing to train."""
        super().train(False)
        return self

    @property
    def forms(self) -> dict[str, str]:
        """How each convolution is computed, by name: see `InferenceConv`."""
        found = self.network.named_modules()
        return {
            name: layer.form for name, layer in found if isinstance(layer, InferenceConv | Int8Conv)
        }

    def forward(self, image: Tensor) -> Tensor:
        """Class scores ``[batch, num_classes]`` of ``image [batch, in_channels, *input_size]``."""
        # inside an exported graph a change of the gradient mode has no place
        with nullcontext() if exporting() else torch.no_grad():
            scores: Tensor = self.network(plain(image))
        return scores


def for_inference(
    network: nn.Module, sample: Tensor | None = None, *, shape: Sequence[int] | None = None
) -> InferenceNetwork:
    """A copy of ``network`` that predicts faster; the network itself stays as it is.

    Batch norms are folded into the convolutions that they follow (`fold`), dropout and the decoder
    are gone, no gradient is kept and no vote is formed. Scores are those of the network in
    evaluation mode but for rounding. `torch.export` with a dynamic batch and `torch.jit.trace`
    work as for the network.

    Args:
        network: any network of ``NETWORKS``, or a module with ``score_kind`` and ``num_classes``
            that gives class scores; or a `TrainingWrapper` around one.
        sample: images ``[batch, in_channels, *input_size]`` as they will come: each convolution is
            then timed on what reaches it, with as many threads as are set, and computed in the
            fastest of several forms, see `InferenceConv`. Any other batch works too. None: no
            measurement, PyTorch's own convolutions.
        shape: of one image, ``[in_channels, *input_size]``; None for that of ``sample``. Where it
            is known, scores of two random images are compared with the network's; should they
            differ by more than rounding, nothing is folded and no convolution replaced.

    Raises:
        ValueError: ``network`` has no ``score_kind`` or no ``num_classes``.

    >>> from capsmed.networks import CapsNet
    >>> network = CapsNet(3, 1, 2, (28, 28, 28), channels=(4,), norm="batch")
    >>> for_inference(network).folded
    ['encoder.stages.0.1']
    """
    network = network.network if isinstance(network, TrainingWrapper) else network
    _check(network)
    with torch.inference_mode(False), torch.no_grad():
        ready: Any = copy.deepcopy(network).eval().requires_grad_(False)
        if hasattr(ready, "capsules") and isinstance(getattr(ready, "decoder", None), nn.Module):
            ready.decoder = None
        _undo_spectral(ready)
        _drop_dropout(ready)
        fused = _folded(ready, sample.shape[1:] if sample is not None else shape)
        if sample is not None:
            _tune(fused, sample)
    return fused


def quantise(
    network: nn.Module, keep: Collection[str] = (), *, shape: Sequence[int] | None = None
) -> InferenceNetwork:
    """A copy of ``network`` whose convolutions compute in 8-bit integers; CPUs only.

    Batch norms are folded first. Weights are rounded once, features as they come
    (`Int8Conv`); everything else, capsules and routing among them, stays in float32, as do grouped
    and 1D convolutions. Scores change a little: measure on cases that you may look at.

    Args:
        network: as of `for_inference`, or what that gives.
        keep: names of parts whose convolutions stay in float32, such as ``["primary"]``.
        shape: as of `for_inference`.

    Raises:
        ValueError: there is no convolution that can be quantised, a name in ``keep`` is unknown, or
            torch cannot compute in 8 bits here.
    """
    if isinstance(keep, str):
        raise ValueError(f"keep: expected a list of names, got {keep!r}; write [{keep!r}]")
    if isinstance(network, InferenceNetwork):
        with torch.inference_mode(False):
            ready = copy.deepcopy(network)
    else:
        ready = for_inference(network, shape=shape)
    check(ready.network, keep, "keep")
    wanted = [
        name
        for name, layer in ready.network.named_modules()
        if isinstance(layer, InferenceConv) and layer.groups == 1 and layer.weight.ndim > 3
        if longest(name, keep) is None
    ]
    if not wanted:
        raise ValueError(
            "int8: expected a network with 2D or 3D convolutions of one group, got none that "
            "can be quantised; stay with float32"
        )
    for name in wanted:
        layer = ready.network.get_submodule(name)
        ready.network.set_submodule(name, Int8Conv(layer).eval())  # type: ignore[arg-type]
    return ready


def _folded(ready: nn.Module, shape: Sequence[int] | None) -> InferenceNetwork:
    """``ready`` with norms folded, if it still gives the same scores; itself otherwise."""
    parts = copy.deepcopy(ready)
    fused = InferenceNetwork(parts, fold(parts))
    if shape is None:
        return fused
    unfolded = InferenceNetwork(ready, [])
    return fused if _agree(unfolded, fused, shape) else unfolded


def _agree(one: nn.Module, other: nn.Module, shape: Sequence[int]) -> bool:
    """Whether two random images get the same scores but for rounding."""
    like = next((p for p in one.parameters() if p.is_floating_point()), torch.zeros(()))
    images = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0)).to(like)
    expected = one(images)
    try:
        scores = other(images)
    except Exception:  # a foreign forward may ask a replaced layer for anything
        return False
    # products may be of 10 bits on other devices than CPUs
    relative = math.sqrt(torch.finfo(expected.dtype).eps) if images.device.type == "cpu" else 5e-3
    allowed = relative * float(expected.abs().max())
    return torch.allclose(scores, expected, rtol=0, atol=allowed, equal_nan=True)


def _check(network: nn.Module) -> None:
    missing = [name for name in ("score_kind", "num_classes") if not hasattr(network, name)]
    if missing:
        raise ValueError(
            f"for_inference: expected a network with score_kind and num_classes, got a "
            f"{type(network).__name__} without {' and '.join(missing)}"
        )


def _drop_dropout(network: nn.Module) -> None:
    for module in network.modules():
        for name, child in module.named_children():
            if type(child) in DROPOUTS:
                setattr(module, name, nn.Identity())


def _undo_spectral(network: nn.Module) -> None:
    """PyTorch's convolutions in the place of those that training has replaced."""
    for name, module in list(network.named_modules()):
        if isinstance(module, SpectralConv2d | SpectralConv3d):
            network.set_submodule(name, direct(module))


def _tune(fused: InferenceNetwork, sample: Tensor) -> None:
    """Let each convolution choose its form on what reaches it in a pass of ``sample``.

    One convolution's layout costs or saves the next one time, so all choices together are
    compared with none.
    """
    done: set[int] = set()

    def choose(layer: InferenceConv, features: tuple[Tensor], _output: Tensor) -> Tensor | None:
        if id(layer) in done:
            return None
        done.add(id(layer))
        return layer.tune(*features)

    layers = [layer for layer in fused.modules() if isinstance(layer, InferenceConv)]
    handles = [layer.register_forward_hook(choose) for layer in layers]
    try:
        fused(sample)
    finally:
        for handle in handles:
            handle.remove()
    chosen = [layer.form for layer in layers]
    seconds = {True: float("inf"), False: float("inf")}
    for _ in range(3):
        for tuned in (False, True):
            for layer, form in zip(layers, chosen, strict=True):
                layer.form = form if tuned else PLAIN
            started = time.perf_counter()
            fused(sample)
            seconds[tuned] = min(seconds[tuned], time.perf_counter() - started)
    for layer, form in zip(layers, chosen, strict=True):
        layer.use(form if seconds[True] < seconds[False] else PLAIN)
