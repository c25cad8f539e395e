"""Checkpoints of tensors and plain values, whole or not there at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import torch

from capsmed import atomic
from capsmed.errors import CheckpointError


class EpochCheckpoint:
    """Write ``last.pt`` after each epoch and ``best.pt`` when the inner score is better.

    Args:
        folder: where both files go.
        parts: objects with ``state_dict`` and ``load_state_dict``, by the name they are kept under.
        facts: plain values stored beside them (network, classes, score kind ...).
    """

    def __init__(self, folder: Path, parts: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        self.folder = folder
        self.parts = dict(parts)
        self.facts = dict(facts)
        self.epoch, self.best_epoch = 0, 0
        self.best_score: float | None = None

    @property
    def last(self) -> Path:
        """The checkpoint a training goes on from."""
        return self.folder / "last.pt"

    @property
    def best(self) -> Path:
        """The checkpoint with the best inner score so far."""
        return self.folder / "best.pt"

    def save(self, epoch: int, score: float | None = None) -> bool:
        """Write the state after ``epoch`` (0: untrained); say whether it is the best so far.

        A ``score`` of None (no inner part) never makes a best checkpoint. Larger is better.
        """
        better = score is not None and (self.best_score is None or score > self.best_score)
        self.epoch = epoch
        if better:
            self.best_epoch, self.best_score = epoch, score
        if idist.get_rank() == 0:
            content = self._content()
            if better:
                others = self.parts.keys() - {"network"}  # only last.pt is gone on from
                write(self.best, {k: v for k, v in content.items() if k not in others})
            write(self.last, content)
        return better

    def resume(self) -> bool:
        """Load ``last.pt`` if it is there; say whether it was.

        Raises:
            CheckpointError: it is damaged or belongs to another network.
        """
        if not self.last.exists():
            return False
        content = read(self.last)
        try:
            for name, part in self.parts.items():
                part.load_state_dict(content[name])
            self.epoch = content["epoch"]
            self.best_epoch, self.best_score = content["best_epoch"], content["best_score"]
        except (KeyError, RuntimeError, ValueError) as error:
            raise CheckpointError(_other_network(self.last, error)) from error
        return True

    def _content(self) -> dict[str, Any]:
        states = {name: part.state_dict() for name, part in self.parts.items()}
        return {
            "schema_version": 1,
            **self.facts,
            **states,
            "epoch": self.epoch,
            "best_epoch": self.best_epoch,
            "best_score": self.best_score,
        }


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Save ``content`` to ``path`` in one step.

    Raises:
        CapsmedError: the disk is full or the folder cannot be written; ``path`` is untouched.
    """

    def save(temporary: Path) -> None:
        try:
            torch.save(dict(content), temporary)
        except RuntimeError as error:  # torch reports a full disk as a RuntimeError
            raise OSError(None, str(error).splitlines()[0]) from error

    atomic.write(path, save)


def read(path: Path) -> dict[str, Any]:
    """Load a checkpoint onto the CPU; only tensors and plain values are accepted.

    Raises:
        CheckpointError: the file is missing, truncated, or not a capsmed checkpoint.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: expected a checkpoint, got no such file; train the fold")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch, zipfile and pickle each raise their own kind
        raise CheckpointError(_damaged(path, error)) from error
    if not isinstance(content, dict) or "network" not in content:
        raise CheckpointError(
            f"{path}: expected a capsmed checkpoint, got something else; "
            "choose best.pt or last.pt of a run folder"
        )
    return content


def load_weights(network: torch.nn.Module, path: Path) -> dict[str, Any]:
    """Put the weights of ``path`` into ``network`` and return the checkpoint.

    Raises:
        CheckpointError: damaged, or of another architecture (the first differences are named).
    """
    content = read(path)
    try:
        network.load_state_dict(content["network"])
    except RuntimeError as error:
        raise CheckpointError(_other_network(path, error)) from error
    return content


def _damaged(path: Path, error: Exception) -> str:
    reason = (str(error).splitlines() or [type(error).__name__])[0][:160]
    return (
        f"{path}: expected a whole checkpoint, got a damaged or truncated file ({reason}); "
        "delete the fold's folder and resume the run"
    )


def _other_network(path: Path, error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (
        f"{path}: expected weights of the configured network, got another architecture "
        f"({' '.join(lines[:3])[:300]}); use the config the checkpoint was trained with"
    )
