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

from capsmed import atomic
from capsmed.data.folders import cache_folder
from capsmed.data.patch_cache import PatchCache
from capsmed.errors import CapsmedError

#: Seconds of forward and backward, by the convolution's name and the way it is computed.
Measured = dict[str, dict[str, float]]

WAYS = ("direct", "spectral")
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
    from capsmed.networks import tuning
    from capsmed.networks.layers.spectral_conv import direct, spectral

    found = tuning.candidates(network, image)
    if not found:
        return {}
    convolutions: dict[str, Any] = {name: network.get_submodule(name) for name in found}
    facts = _facts(convolutions, found, precision)
    path = _path(facts)
    known = _kept(path, facts)
    if known is not None:
        return known
    seconds = {
        name: tuning.measure({"direct": direct(conv), "spectral": spectral(conv)}, met, precision)
        for (name, conv), met in zip(convolutions.items(), found.values(), strict=True)
    }
    _keep(path, {**facts, "seconds": seconds})
    return seconds


def fastest(seconds: Measured) -> dict[str, str]:
    """The way of each convolution: another than ``direct`` only where it clearly pays."""
    from capsmed.networks.tuning import PAYS

    return {
        name: "spectral" if ways["direct"] >= PAYS * ways["spectral"] else "direct"
        for name, ways in seconds.items()
    }


def _facts(
    convolutions: Mapping[str, nn.Module], met: Mapping[str, Tensor], precision: str
) -> dict[str, Any]:
    """Everything that the times depend on."""
    return {
        "schema_version": 1,
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "precision": precision,
        "convolutions": {
            name: [str(_geometry(conv)), list(met[name].shape)]
            for name, conv in convolutions.items()
        },
    }


def _geometry(conv: Any) -> tuple[Any, ...]:
    return conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding


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
        seconds = {
            name: {way: float(content["seconds"][name][way]) for way in WAYS}
            for name in facts["convolutions"]
        }
    except (OSError, ValueError, TypeError, KeyError):
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
