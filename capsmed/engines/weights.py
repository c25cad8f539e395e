"""Weights from somebody's checkpoint for a part of the network, before the first epoch."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from capsmed.config import Weights
from capsmed.errors import CheckpointError, ConfigError, did_you_mean

_WRAPPERS = ("state_dict", "model_state_dict", "model", "network", "net")
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
    """

    file: str
    into: str
    taken: int
    absent: list[str]
    other_shape: list[str]
    unused: list[str]

    def record(self) -> dict[str, Any]:
        """A JSON-ready record for ``fold.json``."""
        return asdict(self)

    def line(self) -> str:
        """One line for the screen."""
        total = self.taken + len(self.absent) + len(self.other_shape)
        left = [
            f"{len(found)} {words} ({_some(found)})"
            for found, words in (
                (self.absent, "not in the file"),
                (self.other_shape, "of another shape"),
                (self.unused, "of the file unused"),
            )
            if found
        ]
        part = self.into or "the network"
        return "; ".join([f"{self.taken} of {total} tensors of {part} from {self.file}", *left])


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
    found = read(Path(base, weights.file))
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
    )
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


def read(path: Path) -> dict[str, Tensor]:
    """The named tensors of a checkpoint: a state dict, or one inside a MONAI or ignite file.

    Raises:
        CheckpointError: the file is missing or damaged, or holds no named tensors.
    """
    if not path.is_file():
        raise CheckpointError(
            f"weights.file: expected a checkpoint, got no such file ({path}); mend the path"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of archives that it then refuses
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch, zipfile and pickle each raise their own kind
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise CheckpointError(
            f"weights.file: expected a checkpoint of tensors alone, got {path.name}, which is "
            f"damaged or holds other objects ({reason}); save the network's state_dict()"
        ) from error
    tensors = dict(_tensors(_unwrapped(content)))
    if not tensors:
        raise CheckpointError(
            f"weights.file: expected named tensors, got none in {path.name}; save the network's "
            "state_dict(), alone or under one of the keys " + ", ".join(_WRAPPERS)
        )
    return tensors


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


def _unwrapped(content: Any) -> Any:
    while isinstance(content, Mapping) and not any(
        isinstance(value, Tensor) for value in content.values()
    ):
        inner = [content[key] for key in _WRAPPERS if isinstance(content.get(key), Mapping)]
        if not inner:
            break
        content = inner[0]
    return content


def _tensors(content: Any) -> Iterator[tuple[str, Tensor]]:
    if isinstance(content, Mapping):
        for name, value in content.items():
            if isinstance(name, str) and isinstance(value, Tensor):
                yield name, value


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
    part = weights.into or "the network"
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
    shown = list(names)[:3]
    return ", ".join(shown) + (", ..." if len(names) > len(shown) else "")
