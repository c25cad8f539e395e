"""A convolution for inference, which can be computed in several forms."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from capsmed.networks.layers.spectral_conv import geometry_of, spectral
from capsmed.networks.layers.votes import exporting

#: A form other than the plain one is taken if it is so many times faster.
GAIN = 1.1
#: The forms of one convolution are timed for about so many seconds, and so many rounds at most.
SECONDS, ROUNDS = 0.4, 15
#: Kernels below this size an axis gain nothing by Fourier coefficients.
SMALLEST_SPECTRAL = 5
PLAIN, CONTIGUOUS, CHANNELS_LAST, SPECTRAL = "plain", "contiguous", "channels_last", "spectral"
_CONVOLVE: dict[int, Callable[..., Tensor]] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_LAYOUT = {2: torch.channels_last, 3: torch.channels_last_3d}
_KINDS = {2: nn.Conv2d, 3: nn.Conv3d}


class InferenceConv(nn.Module):
    """A convolution with zero padding, and the ReLU after it, without gradients.

    It is computed in one of four forms. ``plain`` is PyTorch's convolution of features as they
    come, ``contiguous`` the same of features laid out channels first. ``channels_last`` has
    channels last and the weight laid out once as oneDNN reads it, where PyTorch does that in every
    call. ``spectral`` computes by Fourier coefficients, see `spectral_conv`, those of the weight
    kept. Which is fastest depends on sizes and machine, so `tune` measures.

    It falls back to the plain form while exporting, on other devices than CPUs, under autocast, in
    other precisions than float32, of an empty batch or an image without a batch axis, and where a
    gradient of the features is asked for. What a form keeps of the weight is made anew when the
    weight is replaced or changed in place, except by way of ``weight.data`` or in inference mode,
    where PyTorch does not count changes; call `forget` then.

    Args:
        layer: the convolution; its weight is shared, not copied.
        relu: apply a ReLU to the result.
    """

    def __init__(self, layer: nn.Conv1d | nn.Conv2d | nn.Conv3d, relu: bool = False) -> None:
        super().__init__()
        self.in_channels, self.out_channels = layer.in_channels, layer.out_channels
        self.kernel_size, self.stride = layer.kernel_size, layer.stride
        self.padding, self.dilation, self.groups = layer.padding, layer.dilation, layer.groups
        self.weight, self.bias = layer.weight, layer.bias
        self.relu = relu
        self.form = PLAIN
        self._prepared: list[Any] = []  # a list, so that a module in it is no part of this one
        self._known: tuple[Any, ...] = ()

    @staticmethod
    def takes(layer: nn.Module) -> bool:
        """Whether ``layer`` is a convolution that this one can stand for."""
        return (
            type(layer) in (nn.Conv1d, nn.Conv2d, nn.Conv3d)
            and layer.padding_mode == "zeros"
            and not isinstance(layer.padding, str)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Feature maps ``[batch, out_channels, ...]`` of ``features [batch, in_channels, ...]``."""
        if self.form == PLAIN or not self._can_tune(features):
            return self._plain(features)
        if self.form == CONTIGUOUS:
            return self._plain(features.contiguous())
        known = (self.weight, _changes(self.weight))
        if not self._prepared or known[0] is not self._known[0] or known[1] != self._known[1]:
            self._prepared, self._known = [self._prepare(features)], known
        ready = self._prepared[0]
        if self.form == SPECTRAL:
            with torch.no_grad():
                maps: Tensor = ready(features)
            return maps.relu_() if self.relu else maps
        features = features.contiguous(memory_format=_LAYOUT[features.ndim - 2])
        rest: Any = (self.padding, self.stride, self.dilation, self.groups, self._after, [], "")
        maps = torch.ops.mkldnn._convolution_pointwise(features, ready, self.bias, *rest)
        return maps

    def tune(self, features: Tensor) -> Tensor:
        """Take the form that is fastest for ``features``, and give its result."""
        if self._can_tune(features):
            seconds = self._seconds(features)
            best = min(seconds, key=lambda form: seconds[form])
            self.use(best if seconds[best] * GAIN < seconds[PLAIN] else PLAIN)
        return self(features)

    def _can_tune(self, features: Tensor) -> bool:
        """As `can_tune`; PyTorch's convolution is the one that says what is wrong with channels."""
        return can_tune(self.weight, features) and features.shape[1] == self.in_channels

    def _seconds(self, features: Tensor) -> dict[str, float]:
        """The shortest time of each form."""
        found = dict.fromkeys(self._forms(features), float("inf"))
        started = time.perf_counter()
        for _ in range(ROUNDS):
            for form in found:
                self.use(form)
                self(features)  # prepares, and brings everything into the cache
                before = time.perf_counter()
                self(features)
                found[form] = min(found[form], time.perf_counter() - before)
            if time.perf_counter() - started > SECONDS:
                break
        return found

    def _forms(self, features: Tensor) -> list[str]:
        forms = [PLAIN, CHANNELS_LAST]
        if not features.is_contiguous():
            forms.append(CONTIGUOUS)
        simple = self.groups == 1 and set(self.dilation) == {1}
        if simple and min(self.kernel_size) >= SMALLEST_SPECTRAL:
            if geometry_of(self._layer(), features).feasible:
                forms.append(SPECTRAL)
        return forms

    def use(self, form: str) -> None:
        """Compute in ``form`` from now on."""
        if form != self.form:
            self.form = form
            self.forget()

    def forget(self) -> None:
        """Read the weight anew in the next call."""
        self._prepared, self._known = [], ()

    def _plain(self, features: Tensor) -> Tensor:
        convolve = _CONVOLVE[self.weight.ndim - 2]
        maps = convolve(
            features, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups
        )
        return maps.relu() if self.relu else maps

    def _prepare(self, features: Tensor) -> Any:
        """The weight as the form reads it: packed, or a module with its Fourier coefficients."""
        if self.form == SPECTRAL:
            layer = spectral(self._layer())
            layer.keep_kernel(features)
            return layer
        return torch.ops.mkldnn._reorder_convolution_weight(
            self.weight, self.padding, self.stride, self.dilation, self.groups, features.shape
        )

    def _layer(self) -> nn.Conv2d | nn.Conv3d:
        """PyTorch's convolution with this one's parameters."""
        kind: Any = _KINDS[self.weight.ndim - 2]
        sizes = (self.in_channels, self.out_channels, self.kernel_size, self.stride, self.padding)
        layer = kind(*sizes, self.dilation, self.groups, self.bias is not None, device="meta")
        layer.weight, layer.bias = self.weight, self.bias
        made: nn.Conv2d | nn.Conv3d = layer.eval()
        return made

    @property
    def _after(self) -> str:
        return "relu" if self.relu else "none"

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
        self.forget()
        moved: nn.Module = super()._apply(fn, recurse)
        return moved

    def _load_from_state_dict(self, *arguments: Any) -> None:
        self.forget()
        super()._load_from_state_dict(*arguments)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_prepared": [], "_known": ()}

    def extra_repr(self) -> str:
        """The settings, for ``print(network)``."""
        size = f"{self.in_channels}, {self.out_channels}, kernel_size={tuple(self.kernel_size)}"
        return f"{size}, stride={tuple(self.stride)}, relu={self.relu}, form={self.form!r}"


def can_tune(weight: Tensor, features: Tensor) -> bool:
    """Whether this convolution may be computed in another form than PyTorch's, here and now."""
    return (
        weight.ndim > 3
        and features.device.type == "cpu"
        and weight.device.type == "cpu"
        and features.dtype == torch.float32
        and not exporting()
        and not torch.is_autocast_enabled("cpu")
        and not (features.requires_grad and torch.is_grad_enabled())
        and torch.backends.mkldnn.is_available()
        and features.ndim == weight.ndim
        and features.numel() > 0
    )


def _changes(weight: Tensor) -> int:
    """How often ``weight`` was changed in place; of tensors of inference mode nobody counts."""
    return 0 if weight.is_inference() else weight._version
