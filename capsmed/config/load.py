"""From a YAML file and ``--set`` options to one frozen experiment, or every mistake at once."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from capsmed import shipped
from capsmed.config.explain import mistakes, one_message
from capsmed.config.fields import Component
from capsmed.config.overrides import apply
from capsmed.config.parse import Document, parse
from capsmed.config.paths import expand, with_weights
from capsmed.config.schema import Experiment
from capsmed.errors import ConfigError, did_you_mean


@dataclass(frozen=True)
class Loaded:
    """An experiment and the folder that its relative input paths start from."""

    experiment: Experiment
    base: Path


def load(source: str | Path, overrides: Sequence[str] = ()) -> Loaded:
    """Read the experiment in the file ``source``, or shipped under that name.

    Args:
        source: path of a YAML file, or a shipped name such as 'lung'.
        overrides: 'key.sub=value' as of ``--set``, the value in YAML; later ones win.

    Raises:
        ConfigError: every mistake of the file and of the overrides, each with its place.
    """
    path, base = _find(source)
    document = parse(_text(path), _shown_path(path))
    if document.data is None:
        document.data = {}
    if not isinstance(document.data, dict):
        raise ConfigError(f"{document.place(())}: expected keys and values, got no key")
    for override in overrides:
        apply(document, override)
    _fill_names(document.data)
    experiment = _validate(document)
    return Loaded(expand(experiment, document.place), base)


def load_run(run: Path, overrides: Sequence[str] = ()) -> Loaded:
    """Read the experiment of the run folder ``run``.

    Relative paths start from the folders that the run's private lists name, because
    ``config.yaml`` may be shared and holds no folder.

    Raises:
        ConfigError: ``run`` is no run folder, or its configuration is damaged.
    """
    if not (run / "config.yaml").is_file():
        raise ConfigError(
            f"{run}: expected a run folder with config.yaml, got none; "
            "give the folder that `capsmed train` has written"
        )
    experiment = load(run / "config.yaml", overrides).experiment
    folder, file = _folder_in(run / "private" / "weights.csv"), experiment.weights.file
    if folder is not None and file is not None:
        experiment = with_weights(experiment, str(folder / file))
    return Loaded(experiment, _folder_in(run / "private" / "ids.csv") or run)


def _folder_in(table: Path) -> Path | None:
    """The column ``folder`` of a private table, alike in all rows; None where there is none."""
    try:
        with open(table, encoding="utf-8", newline="") as file:
            folder = next(csv.DictReader(file), {}).get("folder")
    except OSError:
        return None
    return Path(folder) if folder else None


def _find(source: str | Path) -> tuple[Path, Path]:
    path = Path(source)
    if path.is_file():
        return path, Path.cwd() if shipped.is_shipped(path) else path.parent
    named = shipped.find("configs", str(source))
    if named is None:
        known = shipped.names("configs")
        raise ConfigError(
            f"config: expected a YAML file or one of {', '.join(known)}, "
            f"got {str(source)!r}{did_you_mean(path.stem, known)}"
        )
    return named, Path.cwd()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path}: expected UTF-8 text, got other bytes (at {error.start}); save it as UTF-8"
        ) from error
    except OSError as error:
        raise ConfigError(f"{path}: expected a readable file, got {error.strerror}") from error


def _shown_path(path: Path) -> str:
    try:
        return path.resolve().relative_to(Path.cwd().resolve()).as_posix()
    except ValueError:
        return str(path)


def _fill_names(data: dict[str, Any]) -> None:
    for name, info in Experiment.model_fields.items():
        if info.annotation is Component and isinstance(data.get(name), dict):
            data[name] = {"name": info.default.name, **data[name]}


def _validate(document: Document) -> Experiment:
    name = document.place(()).rpartition(":")[0]
    try:
        experiment = Experiment.model_validate(document.data)
    except ValidationError as error:
        message = one_message([*document.mistakes, *mistakes(error, document)], name)
        raise ConfigError(message) from error
    if document.mistakes:
        raise ConfigError(one_message(document.mistakes, name))
    return experiment
