"""Where the training computes, and in which precision."""

from __future__ import annotations

from typing import Any

import torch
from monai.inferers import SimpleInferer

from capsmed.errors import ConfigError


class PrecisionInferer(SimpleInferer):
    """MONAI's ``SimpleInferer`` under ``torch.autocast`` on the input's own device.

    The engines' ``amp=True`` hard-codes CUDA; bfloat16 needs no gradient scaler and works on
    CPUs as well.

    Args:
        precision: ``float32`` or ``bfloat16``.
        memory_format: layout that the inputs are brought into; None: as they come.
    """

    def __init__(
        self, precision: str = "float32", memory_format: torch.memory_format | None = None
    ) -> None:
        super().__init__()
        self.dtype = getattr(torch, precision)
        self.memory_format = memory_format

    def __call__(self, inputs: torch.Tensor, network: Any, *args: Any, **kwargs: Any) -> Any:
        """Return ``network(inputs, ...)`` computed in the chosen precision."""
        enabled = self.dtype is not torch.float32
        if self.memory_format is not None:
            inputs = inputs.contiguous(memory_format=self.memory_format)
        with torch.autocast(inputs.device.type, dtype=self.dtype, enabled=enabled):
            return super().__call__(inputs, network, *args, **kwargs)


def choose_device(name: str) -> torch.device:
    """Turn ``auto`` into CUDA, then MPS, then CPU; check that a named device is there.

    Raises:
        ConfigError: the device is unknown to torch or not present.
    """
    if name == "auto":
        return torch.device(_best_device())
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"device: expected one that is present, got {name!r} ({reason}); use 'auto'"
        ) from error
    return device


def _best_device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
