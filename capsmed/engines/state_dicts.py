"""Reading the named tensors of somebody's checkpoint; nothing in it is run."""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from capsmed.errors import CheckpointError

_WRAPPERS = ("state_dict", "model_state_dict", "model", "network", "net")
_LISTED = 5  # keys of a file without named tensors
_SAVE = "save the weights alone by torch.save(net.state_dict(), path)"
_ARCHIVE, _PICKLE = b"PK", b"\x80"  # how files of torch.save begin, now and before PyTorch 1.6


def read(path: Path) -> dict[str, Tensor]:
    """The named tensors of a checkpoint: a state dict, or one inside a MONAI or ignite file.

    A state dict may lie under one of the usual keys, or under any other where it is the only one.

    Raises:
        CheckpointError: the file is missing, empty, damaged or of another kind, or holds Python
            objects, no named tensors, or several state dicts.
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
        raise CheckpointError(
            f"weights.file: expected a checkpoint of tensors alone, got {_unreadable(path, error)}"
        ) from error
    return _named_tensors(content, path.name)


def _unreadable(path: Path, error: Exception) -> str:
    """What a file is that torch refuses, and what to do."""
    try:
        with open(path, "rb") as file:
            start = file.read(2)
    except OSError as refused:
        return f"{path.name}, which cannot be read ({refused.strerror}); mend its permissions"
    if not start:
        return f"{path.name}, which is empty; copy it anew"
    if not start.startswith((_ARCHIVE, _PICKLE)):
        return f"{path.name}, which is no file of torch.save; {_SAVE}"
    whole = start.startswith(_PICKLE) or zipfile.is_zipfile(path)
    if whole and isinstance(error, pickle.UnpicklingError):
        first = re.search(r"GLOBAL (\S+)", str(error))
        objects = f"Python objects ({first[1]})" if first else "Python objects"
        return f"{path.name}, which holds {objects}, not tensors alone; {_SAVE}"
    return f"{path.name}, which is damaged; copy or save it anew"


def _named_tensors(content: Any, file: str) -> dict[str, Tensor]:
    while not _tensors(content) and isinstance(content, Mapping):
        usual = [content[key] for key in _WRAPPERS if isinstance(content.get(key), Mapping)]
        inner = usual[:1] or [value for value in content.values() if _tensors(value)]
        if len(inner) != 1:
            break
        content = inner[0]
    tensors = _tensors(content)
    if not tensors:
        raise CheckpointError(
            f"weights.file: expected named tensors, alone or under one key, got {_keys(content)} "
            f"in {file}; {_SAVE}"
        )
    return tensors


def _tensors(content: Any) -> dict[str, Tensor]:
    if not isinstance(content, Mapping):
        return {}
    return {
        name: value
        for name, value in content.items()
        if isinstance(name, str) and isinstance(value, Tensor)
    }


def _keys(content: Any) -> str:
    """What there is instead of one mapping of tensors."""
    if not isinstance(content, Mapping):
        return f"none but a {type(content).__name__}"
    several = [str(key) for key, value in content.items() if _tensors(value)]
    listed = several or [str(key) for key in content]
    shown = ", ".join(listed[:_LISTED]) + (", ..." if len(listed) > _LISTED else "")
    if several:
        return f"them under {len(several)} keys ({shown})"
    return f"none under its keys ({shown})" if listed else "none"
