"""How each large convolution is computed: measured once a machine, kept in the user's cache."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from capsmed import __version__, atomic
from capsmed.data.folders import cache_folder
from capsmed.data.patch_cache import PatchCache
from capsmed.errors import CapsmedError
from capsmed.networks import tuning

#: Seconds of forward and backward, by the convolution's name and the way it is computed.
Measured = dict[str, dict[str, float]]

WAYS = ("direct", "spectral")
#: What reading a damaged JSON file may raise.
DAMAGED = (OSError, ValueError, LookupError, TypeError, ArithmeticError, RecursionError)
_log = logging.getLogger(__name__)


def measured(network: nn.Module, image: Tensor, precision: str) -> Measured:
    """Seconds of every way to compute each large convolution, from the cache where they are known.

    Args:
        network: unchanged.
        image: a batch ``[batch, channels, ...]`` as training will meet it.
        precision: ``float32`` or ``bfloat16``.

    Returns:
        Empty where the network has no convolution with a choice.
    """
    found = tuning.candidates(network, image)
    if not found:
        return {}
    convolutions: dict[str, Any] = {name: network.get_submodule(name) for name in found}
    facts = _facts(convolutions, found, precision)
    path = _path(facts)
    known = _kept(path, facts)
    if known is not None:
        return known
    seconds = tuning.seconds_of_ways(network, found, precision)
    _keep(path, {**facts, "seconds": seconds})
    return seconds


def _facts(
    convolutions: Mapping[str, nn.Module], met: Mapping[str, Tensor], precision: str
) -> dict[str, Any]:
    """Everything that the times depend on."""
    return {
        "schema_version": 2,
        "capsmed": __version__,
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "precision": precision,
        "convolutions": {
            name: [str(_geometry(conv)), list(met[name].shape), _learning(conv, met[name])]
            for name, conv in convolutions.items()
        },
    }


def _geometry(conv: Any) -> tuple[Any, ...]:
    return conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding


def _learning(conv: nn.Module, image: Tensor) -> list[bool]:
    """Which gradients are computed: those of the image, the weight and the bias."""
    return [image.requires_grad, *(each.requires_grad for each in conv.parameters())]


def _processor() -> str:
    """The processor's model; only Linux tells it by a file."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def _path(facts: Mapping[str, Any]) -> Path | None:
    """Where the times of these facts are kept; None where there is to be no cache."""
    if not PatchCache.default().limit:
        return None
    name = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]
    return cache_folder() / "convolutions" / f"{name}.json"


def _kept(path: Path | None, facts: Mapping[str, Any]) -> Measured | None:
    """The times in the file, None unless it is whole and of just these facts."""
    if path is None:
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if any(content[name] != fact for name, fact in facts.items()):
            return None
        seconds = {
            name: {way: float(content["seconds"][name][way]) for way in WAYS}
            for name in facts["convolutions"]
        }
    except DAMAGED:
        return None
    fine = all(0 < s < math.inf for ways in seconds.values() for s in ways.values())
    return seconds if fine else None


def _keep(path: Path | None, content: Mapping[str, Any]) -> None:
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_json(path, content)
    except (OSError, CapsmedError) as error:
        _log.info("%s: cannot be written (%s), so the next run measures again", path, error)
