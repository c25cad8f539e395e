"""Trained networks made ready to predict, in the precision that is asked for."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from capsmed.engines.precision import choose_device
from capsmed.errors import ConfigError
from capsmed.networks import TrainingWrapper
from capsmed.networks.inference import for_inference, quantise

PRECISIONS = ("float32", "bfloat16", "int8")


def ready(wrapper: TrainingWrapper, precision: str, shape: Sequence[int]) -> TrainingWrapper:
    """The network in its fastest form of the same scores, or with 8-bit convolutions.

    In bfloat16 it stays as it is: folded weights are rounded otherwise, and the scores of a run
    trained so would not come out again.

    Args:
        wrapper: is not changed.
        precision: one of `PRECISIONS`.
        shape: of a patch, ``[channels, ...]``: the fast form must give the same scores of it.

    Raises:
        ConfigError: the network or the machine does not allow int8.
    """
    if precision == "bfloat16":
        return wrapper
    try:
        make = quantise if precision == "int8" else for_inference
        network = make(wrapper, shape=shape)
    except ValueError as error:
        raise ConfigError(f"precision: {error}") from error
    return TrainingWrapper(network).eval()


def computing(precision: str) -> str:
    """What the inferer computes in: quantised networks take float32 and give it back."""
    return "float32" if precision == "int8" else precision


def device_for(name: str, precision: str) -> torch.device:
    """The device called ``name``; with int8 ``auto`` is the CPU.

    Raises:
        ConfigError: the device is not there, or cannot compute in this precision.
    """
    device = choose_device("cpu" if precision == "int8" and name == "auto" else name)
    if precision == "int8" and device.type != "cpu":
        raise ConfigError(
            f"precision: expected the CPU for int8, got device {name!r}; use --device cpu, or "
            "another precision"
        )
    return device


def remark(precision: str, trained: str) -> str:
    """What must be said of scores computed otherwise than in training; '' where it is alike."""
    if precision == trained:
        return ""
    how = "int8, convolutions in 8-bit integers" if precision == "int8" else precision
    return f"predicted in {how}; the network was trained in {trained}"
