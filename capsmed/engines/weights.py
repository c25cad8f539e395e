"""Weights from somebody's checkpoint for a part of the network, before the first epoch."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from capsmed.config import Weights
from capsmed.engines import state_dicts
from capsmed.errors import CheckpointError, ConfigError, did_you_mean
from capsmed.networks import parts

FIRST = 3  # names of tensors that are listed
_DEPTH = 3  # parts of a name that a checkpoint may put before the backbone's own


@dataclass(frozen=True)
class Taken:
    """What a checkpoint gave to a part of the network.

    Attributes:
        file: its name, without folders.
        into: the part of the network.
        taken: number of tensors, parameters and statistics, that were taken.
        absent: the part's tensors that the file has not; they start from chance.
        other_shape: the part's tensors that the file has in another shape; as ``absent``.
        unused: the file's tensors that the part has not.
        taken_numbers: how many numbers the taken tensors hold.
        numbers: how many all tensors of the part hold.
        warning: what is likely wrong where less than half of the numbers were taken, else ''.
    """

    file: str
    into: str
    taken: int
    absent: list[str]
    other_shape: list[str]
    unused: list[str]
    taken_numbers: int
    numbers: int
    warning: str = ""

    def record(self) -> dict[str, Any]:
        """A JSON-ready record for ``fold.json``; of the unused tensors, how many and the first.

        A network that uses a file to a level only leaves most of it unused.
        """
        few = {"count": len(self.unused), "first": self.unused[:FIRST]}
        return {**asdict(self), "unused": few}

    def line(self) -> str:
        """One line for the screen; batch norms are many tensors of few numbers, so both count."""
        missing = len(self.absent) + len(self.other_shape)
        of = f"{self.taken} of {self.taken + missing} tensors of {self.part}"
        if missing:
            of += f" ({self.share} of the numbers)"
        left = [
            f"{len(found)} {words} ({_some(found)})"
            for found, words in (
                (self.absent, "not in the file"),
                (self.other_shape, "of another shape"),
                (self.unused, "of the file unused"),
            )
            if found
        ]
        return "; ".join([f"{of} from {self.file}", *left])

    def lines(self) -> list[str]:
        """The line, and the warning where there is one."""
        return [self.line(), *([f"Warning: {self.warning}"] if self.warning else [])]

    @property
    def part(self) -> str:
        """The part's name; 'the network' for the whole."""
        return self.into or "the network"

    @property
    def share(self) -> str:
        """How much of the part's numbers was taken, never rounded up: '83.3%'."""
        tenths = math.floor(1000 * self.taken_numbers / self.numbers)
        return f"{tenths / 10:g}%" if tenths else "less than 0.1%"


def load(network: nn.Module, weights: Weights, base: Path) -> Taken | None:
    """Put the tensors of ``weights.file`` into a part of ``network``; None where no file is named.

    Names are compared without the words that wrap them in the file or in the part, such as
    ``module.`` or ``encoder.``: of all beginnings of names, that one is cut off with which most
    names agree.

    Args:
        network: is changed.
        weights: the file, the part, and whether all of it must be filled.
        base: folder that a relative path is relative to.

    Raises:
        CheckpointError: the file is missing, damaged, no checkpoint, or of another architecture.
        ConfigError: the network has no such part.
    """
    if weights.file is None:
        return None
    found = state_dicts.read(Path(base, weights.file))
    own = _part(network, weights.into).state_dict()
    aligned = _aligned(found, own)
    fitting = {name: new for name, (_, new) in aligned.items() if new.shape == own[name].shape}
    sources = {source for source, _ in aligned.values()}
    taken = Taken(
        file=Path(weights.file).name,
        into=weights.into,
        taken=len(fitting),
        absent=[name for name in own if name not in aligned],
        other_shape=[name for name in aligned if name not in fitting],
        unused=[name for name in found if name not in sources],
        taken_numbers=_numbers(fitting),
        numbers=_numbers(own),
    )
    taken = replace(taken, warning=_doubt(taken, aligned, own))
    _check(taken, weights, found, own)
    broken = [name for name, new in fitting.items() if not new.isfinite().all()]
    if broken:
        raise CheckpointError(
            f"weights.file: expected finite numbers, got others in {taken.file} ({_some(broken)}); "
            "the training that wrote it has diverged, take an earlier checkpoint"
        )
    with torch.no_grad():
        for name, new in fitting.items():
            own[name].copy_(new)
    return taken


def check_frozen(taken: Taken | None, network: nn.Module, frozen: Collection[str]) -> None:
    """Refuse parts that would stay as chance has them: frozen, and not in the weights' file.

    Raises:
        CheckpointError: says how many tensors, and what to do.
    """
    if taken is None:
        return
    own = network.state_dict()
    left = [f"{taken.into}.{name}".lstrip(".") for name in (*taken.absent, *taken.other_shape)]
    left = [
        name
        for name in left
        if own[name].is_floating_point() and parts.longest(name, frozen) is not None
    ]
    if left:
        raise CheckpointError(
            f"weights.file: expected every tensor that training.freeze holds, got {len(left)} "
            f"without weights in {taken.file} ({_some(left)}), which would stay random; leave "
            f"ordinary_head out of baselines.models, or give weights of the whole {taken.part}"
        )


def digest(weights: Weights, base: Path) -> str | None:
    """SHA-256 of the weights' file, or None where none is named.

    Raises:
        CheckpointError: the file cannot be read.
    """
    if weights.file is None:
        return None
    try:
        return hashlib.sha256(Path(base, weights.file).read_bytes()).hexdigest()
    except OSError as error:
        raise CheckpointError(
            f"weights.file: expected a checkpoint, got none that can be read "
            f"({Path(base, weights.file)}: {error.strerror}); mend the path"
        ) from error


def _numbers(tensors: Mapping[str, Tensor]) -> int:
    return sum(tensor.numel() for tensor in tensors.values())


def _doubt(
    taken: Taken, aligned: Mapping[str, tuple[str, Tensor]], own: Mapping[str, Tensor]
) -> str:
    """Why so little was taken; '' for half of the numbers or more."""
    if 2 * taken.taken_numbers >= taken.numbers:
        return ""
    axes = any(aligned[name][1].ndim != own[name].ndim for name in taken.other_shape)
    if taken.other_shape:
        reason = "spatial_dims, 2D or 3D" if axes else "size, such as other channels"
    else:
        reason = "architecture or depth"
    return (
        f"expected weights for most of {taken.part}, got {taken.share} of its numbers from "
        f"{taken.file}, the rest starts from chance; the file is likely of a network of another "
        f"{reason}".replace("another spatial_dims", "other spatial_dims")
    )


def _part(network: nn.Module, name: str) -> nn.Module:
    modules = dict(network.named_modules())
    if name not in modules:
        top = [part for part, _ in network.named_children()]
        raise ConfigError(
            f"weights.into: expected a part of the network ({', '.join(top)}, or inside one), "
            f"got {name!r}{did_you_mean(name, modules)}"
        )
    return modules[name]


def _aligned(
    found: Mapping[str, Tensor], own: Mapping[str, Tensor]
) -> dict[str, tuple[str, Tensor]]:
    """The file's name and tensor for each name of ``own`` that it has, however both begin."""
    best: dict[str, tuple[str, Tensor]] = {}
    for own_start in _shared_starts(own):
        short = {name.removeprefix(own_start): name for name in own}
        for start in _starts(found):
            cut = {name.removeprefix(start): name for name in found if name.startswith(start)}
            match = {short[key]: (cut[key], found[cut[key]]) for key in cut if key in short}
            if _fit(match, own) > _fit(best, own):
                best = match
    return best


def _fit(match: Mapping[str, tuple[str, Tensor]], own: Mapping[str, Tensor]) -> tuple[int, int]:
    shapes = sum(new.shape == own[name].shape for name, (_, new) in match.items())
    return shapes, len(match)


def _starts(names: Mapping[str, Any]) -> list[str]:
    """Every beginning of a name, to a dot, shortest first."""
    starts = {""}
    for name in names:
        words = name.split(".")[:-1][:_DEPTH]
        starts |= {".".join(words[:length]) + "." for length in range(1, len(words) + 1)}
    return sorted(starts, key=lambda start: (len(start), start))


def _shared_starts(names: Mapping[str, Any]) -> list[str]:
    """The beginnings that all names share, shortest first."""
    return [start for start in _starts(names) if all(name.startswith(start) for name in names)]


def _check(
    taken: Taken, weights: Weights, found: Mapping[str, Tensor], own: Mapping[str, Tensor]
) -> None:
    part = taken.part
    if not taken.taken:
        raise CheckpointError(
            f"weights.file: expected tensors of {part} ({_some(own)}), got others in {taken.file} "
            f"({_some(found)}); name the part they belong to in weights.into, or another file"
        )
    if weights.strict and (taken.absent or taken.other_shape):
        raise CheckpointError(
            f"weights.strict: expected every tensor of {part}, got {taken.line()}; "
            "leave strict out to take what fits"
        )


def _some(names: Any) -> str:
    shown = list(names)[:FIRST]
    return ", ".join(shown) + (", ..." if len(names) > len(shown) else "")
