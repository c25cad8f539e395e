"""How a training computes its steps: memory layout, convolutions, compiler, TF32."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import torch
from torch import nn

from capsmed import atomic
from capsmed.config import Training
from capsmed.engines import allocator, convolution_choice
from capsmed.errors import CapsmedError, CheckpointError, ConfigError
from capsmed.networks import TrainingWrapper
from capsmed.networks.layers.spectral_conv import replaceable
from capsmed.networks.tuning import candidates, fastest, use_convolutions

FILE = "acceleration.json"
_VERSION = 1  # of the file's format
_FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}  # by the dimensions of a batch
_CONVOLUTIONS = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)


@dataclass(frozen=True)
class Acceleration:
    """What was chosen for one training; it changes results by rounding, so a resumed one keeps it.

    Attributes:
        channels_last: images and the convolutions' weights keep their channels innermost.
        convolutions: name in the network -> ``direct`` or ``spectral``.
        gain: how many times faster than the direct one, by name, where that was measured.
    """

    channels_last: bool = False
    convolutions: dict[str, str] = field(default_factory=dict)
    gain: dict[str, float] = field(default_factory=dict)

    @property
    def plain(self) -> bool:
        """Whether it is what torch does by itself."""
        return not self.channels_last and set(self.convolutions.values()) <= {"direct"}

    def apply(self, wrapper: TrainingWrapper) -> None:
        """Change how the network computes; its parameters stay the same objects and names."""
        if "spectral" in self.convolutions.values():
            use_convolutions(wrapper.network, self.convolutions)
        if self.channels_last:
            for module in wrapper.modules():
                if isinstance(module, _CONVOLUTIONS):
                    weight = module.weight
                    weight.data = weight.data.contiguous(memory_format=_FORMATS[weight.ndim])

    def memory_format(self, spatial_dims: int) -> torch.memory_format | None:
        """How batches are laid out; None: as they come."""
        return _FORMATS[spatial_dims + 2] if self.channels_last else None

    def lines(self) -> list[str]:
        """What a user should know, a line each."""
        told = [
            f"convolution {name}: spectral{self._how_much(name)}"
            for name, way in self.convolutions.items()
            if way == "spectral"
        ]
        return told + (["channels-last memory layout"] if self.channels_last else [])

    def _how_much(self, name: str) -> str:
        gain = self.gain.get(name)
        return f", {gain:.1f}x as fast as the direct one here" if gain else ""


def decide(
    folder: Path | None,
    training: Training,
    wrapper: TrainingWrapper,
    shape: Sequence[int],
    device: torch.device,
) -> Acceleration:
    """Choose for a training, or repeat the choice that it was begun with; all processes agree.

    Args:
        folder: of the training. A choice other than torch's own is written there before its first
            checkpoint, so a folder with a checkpoint and without the file was begun without one.
            None: choose anew and write nothing.
        training: the configuration's section.
        wrapper: the network on ``device``, unchanged.
        shape: ``[batch, channels, ...]`` of a process's batch.
        device: where it computes.

    Raises:
        CheckpointError: the file is damaged, or of another network.
    """
    chosen: list[Any] = [None]
    if idist.get_rank() == 0:
        chosen = [_decided(folder, training, wrapper, shape, device)]
    if idist.get_world_size() > 1:
        torch.distributed.broadcast_object_list(chosen)
    if isinstance(chosen[0], Exception):
        raise chosen[0]
    return chosen[0]


def _decided(
    folder: Path | None,
    training: Training,
    wrapper: TrainingWrapper,
    shape: Sequence[int],
    device: torch.device,
) -> Acceleration | CapsmedError:
    """The choice, or the error that every process is to raise."""
    try:
        if folder is None:
            return _choose(training, wrapper, shape, device)
        if (folder / FILE).exists():
            return _read(folder / FILE, wrapper.network)
        if (folder / "checkpoints" / "last.pt").exists():
            return Acceleration()
        found = _choose(training, wrapper, shape, device)
        if not found.plain:
            atomic.write_json(folder / FILE, {"schema_version": _VERSION, **asdict(found)})
    except CapsmedError as error:
        return error
    return found


def _choose(
    training: Training, wrapper: TrainingWrapper, shape: Sequence[int], device: torch.device
) -> Acceleration:
    layout = training.channels_last
    if layout == "auto":
        layout = device.type == "cuda" and len(shape) == 4
    image = torch.rand(tuple(shape), generator=torch.Generator().manual_seed(0)).to(device)
    if training.convolutions == "spectral":
        return Acceleration(layout, dict.fromkeys(candidates(wrapper.network, image), "spectral"))
    if training.convolutions == "direct" or device.type != "cpu" or training.compile:
        return Acceleration(layout)
    seconds = convolution_choice.measured(wrapper.network, image, training.precision)
    gain = {name: round(ways["direct"] / ways["spectral"], 2) for name, ways in seconds.items()}
    return Acceleration(layout, fastest(seconds), gain)


def _read(path: Path, network: nn.Module) -> Acceleration:
    """The choice in the file, which is to be one for ``network``."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found = Acceleration(
            content["channels_last"],
            dict(content["convolutions"].items()),
            {name: float(gain) for name, gain in content["gain"].items()},
        )
        wrong = _wrong(content["schema_version"], found, network)
    except (*convolution_choice.DAMAGED, AttributeError) as error:
        raise _unusable(path, "a damaged file") from error
    if wrong:
        raise _unusable(path, wrong)
    return found


def _wrong(version: object, found: Acceleration, network: nn.Module) -> str:
    """What of a recorded choice cannot be meant; '' where it is fine."""
    if version != _VERSION:
        return f"schema_version {version!r} instead of {_VERSION}"
    if not isinstance(found.channels_last, bool):
        return f"channels_last {found.channels_last!r}"
    modules = dict(network.named_modules())
    for name, way in found.convolutions.items():
        if name not in modules or not replaceable(modules[name]):
            return f"{name!r}, which is no convolution of this network that can be replaced"
        if way not in convolution_choice.WAYS:
            return f"{way!r} for the convolution {name!r}"
    return "" if all(0 < gain < math.inf for gain in found.gain.values()) else f"gain {found.gain}"


def _unusable(path: Path, what: str) -> CheckpointError:
    return CheckpointError(
        f"{path}: expected how the training computes, got {what}; "
        "delete the fold's folder and resume the run"
    )


def prepare(training: Training, device: torch.device) -> None:
    """Set what holds for the whole process: how memory is kept, how CUDA multiplies."""
    allocator.keep_freed_memory()
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high" if training.tf32 else "highest")
        torch.backends.cudnn.allow_tf32 = training.tf32


def check_convolutions(training: Training, network: nn.Module, shape: Sequence[int]) -> None:
    """Refuse ``training.convolutions: spectral`` for a network in which it changes nothing.

    Args:
        training: the configuration's section.
        network: as it will be trained.
        shape: ``[channels, ...]`` of an image.

    Raises:
        ConfigError: none of its convolutions can be computed so.
    """
    if training.convolutions == "spectral" and not candidates(network, torch.zeros(1, *shape)):
        raise ConfigError(
            "training.convolutions: expected a network with a kernel of 5 or more on every axis "
            "for spectral, got one without; set it to auto"
        )


def check_compiler(training: Training, device: torch.device) -> None:
    """Try the compiler if it is wanted.

    Raises:
        ConfigError: torch cannot compile here.
    """
    if training.compile:
        _try_compiler(device)


def _try_compiler(device: torch.device) -> None:
    sample = torch.ones(8, device=device)
    try:
        torch.compile(lambda x: (x + 1).relu().sum())(sample)
    except Exception as error:  # each backend raises its own kind
        words = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        raise ConfigError(
            f"training.compile: expected a compiler that torch can use, got none ({words}); "
            "install a C++ compiler (on Linux g++; on a GPU also triton), or set it to false"
        ) from error


def compiled(network: nn.Module) -> nn.Module:
    """``network`` compiled for the shapes it meets; parameters are shared.

    Checkpoints, running means and evaluation keep to the network itself, so that the names of
    its weights stay as they are. The last, smaller batch of an epoch is compiled for itself.
    """
    result: Any = torch.compile(network, dynamic=False)
    return result
