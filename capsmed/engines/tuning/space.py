"""What a search may change: keys of the configuration, and Optuna's view of their values."""

from __future__ import annotations

import inspect
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import optuna
from torch import nn

from capsmed import config
from capsmed.config import Augmentation, Experiment, Range
from capsmed.engines import build, components
from capsmed.errors import ConfigError

Values = dict[str, Any]
Choices = Range | tuple[Any, ...]
#: Sections whose keys a search may change; the rest says what is asked, not how it is learnt.
SECTIONS = ("network", "loss", "optimizer", "schedule", "training", "augmentation")
_NOT_LEARNING = ("workers", "convolutions", "channels_last", "compile", "tf32")
_AROUND = 5.0  # a usual range goes from a fifth of the configured value to five times it
_UNKNOWN = object()


def usual_space(experiment: Experiment) -> dict[str, Choices]:
    """What is searched where the configuration names nothing: the learning rate and the decay.

    Each from a fifth of the configured value to five times it, on a logarithmic scale.
    """
    found: dict[str, Choices] = {}
    for key in ("optimizer.lr", "optimizer.weight_decay"):
        value = configured(experiment, key)
        if isinstance(value, float | int) and value > 0:
            found[key] = Range(low=value / _AROUND, high=value * _AROUND, log=True)
    return found


def configured(experiment: Experiment, key: str) -> Any:
    """The value of ``key`` in the experiment, or its constructor's default; else a mark."""
    data: Any = experiment.model_dump(mode="json")
    for part in key.split("."):
        if not isinstance(data, dict) or part not in data:
            return _default(experiment, key)
        data = data[part]
    return data


def configured_values(experiment: Experiment, keys: Collection[str]) -> Values:
    """The configured values of these keys as JSON would give them back; empty if one has none."""
    found = {key: configured(experiment, key) for key in keys}
    if any(value is _UNKNOWN for value in found.values()):
        return {}
    try:
        return dict(json.loads(json.dumps(found)))
    except TypeError:
        return {}


def _default(experiment: Experiment, key: str) -> Any:
    section, _, option = key.partition(".")
    if section not in components.REGISTRIES:
        return _UNKNOWN
    constructor = components.resolve(section, getattr(experiment, section).name)
    parameter = inspect.signature(constructor).parameters.get(option)
    if parameter is None or parameter.default is parameter.empty:
        return _UNKNOWN
    return parameter.default


def check_space(experiment: Experiment, base: Path, allow_import: Collection[str] = ()) -> None:
    """Refuse a space of which a value by itself makes no experiment, before any data are read.

    Raises:
        ConfigError: a key may not be searched or does not exist, or a value is wrong.
    """
    for key, choices in experiment.tuning.space.items():
        section, _, name = key.partition(".")
        if section not in SECTIONS or not name or name in _NOT_LEARNING:
            raise ConfigError(
                f"tuning.space: expected keys below {', '.join(SECTIONS)} that change what is "
                f"learnt, such as optimizer.lr or loss.name, got {key!r}; leave it out"
            )
        for value in samples(choices):
            try:
                one = config.changed(experiment, {key: value})
                components.check_components(one, allow_import)
                build.check_fit(one, base)
                build.build_optimizer(one.optimizer, nn.Linear(1, 1))
            except ConfigError as error:
                raise ConfigError(f"tuning.space.{key}: {value!r} does not do: {error}") from error


def samples(choices: Choices) -> tuple[Any, ...]:
    """The values that stand for all: both ends, or every choice."""
    return (choices.low, choices.high) if isinstance(choices, Range) else choices


def mattering(experiment: Experiment, model: str) -> dict[str, Choices]:
    """The part of the space that changes ``model``: an ordinary head has no routing.

    Keys of the network and the loss count where they change what the model is built from.
    """

    def changes(key: str, choices: Choices) -> bool:
        if key.partition(".")[0] not in ("network", "loss"):
            return True
        built = [
            build.specification(config.changed(experiment, {key: value}), model)
            for value in samples(choices)
        ]
        return any(other != built[0] for other in built[1:])

    space = experiment.tuning.space
    return {
        key: _real(experiment, key, choices)
        for key, choices in space.items()
        if changes(key, choices)
    }


def _real(experiment: Experiment, key: str, choices: Choices) -> Choices:
    """A range of whole ends around a configured value that is none is one of real numbers."""
    if isinstance(choices, Range) and isinstance(configured(experiment, key), float):
        ends = {"low": float(choices.low), "high": float(choices.high)}
        return choices.model_copy(update=ends)
    return choices


def _whole(choices: Range) -> bool:
    return isinstance(choices.low, int) and isinstance(choices.high, int)


def distributions(space: Mapping[str, Choices]) -> dict[str, Any]:
    """Optuna's distributions; a choice from a list is known by its place."""

    def one(choices: Choices) -> Any:
        if not isinstance(choices, Range):
            return optuna.distributions.CategoricalDistribution(range(len(choices)))
        low, high, log = choices.low, choices.high, choices.log
        if _whole(choices):
            return optuna.distributions.IntDistribution(int(low), int(high), log)
        return optuna.distributions.FloatDistribution(low, high, log)

    return {key: one(choices) for key, choices in space.items()}


def to_values(space: Mapping[str, Choices], parameters: Mapping[str, Any]) -> Values:
    """Optuna's parameters as values of the configuration, of three digits that matter."""

    def one(choices: Choices, parameter: Any) -> Any:
        if not isinstance(choices, Range):
            return choices[parameter]
        if isinstance(parameter, int):
            return parameter
        return min(max(float(f"{parameter:.3g}"), choices.low), choices.high)

    return {key: one(choices, parameters[key]) for key, choices in space.items()}


def to_parameters(space: Mapping[str, Choices], values: Mapping[str, Any]) -> dict[str, Any]:
    """Values of the configuration as Optuna's parameters, those that lie in the space."""
    found = {}
    for key, choices in space.items():
        value = values.get(key, _UNKNOWN)
        if isinstance(choices, Range):
            number = isinstance(value, int if _whole(choices) else int | float)
            if number and choices.low <= value <= choices.high:
                found[key] = value
        elif value in choices:
            found[key] = choices.index(value)
    return found


def widest(experiment: Experiment) -> Augmentation:
    """The augmentation of which every one in the search's space is a part, for its margin."""
    found = experiment.augmentation.model_dump()
    for key, choices in experiment.tuning.space.items():
        section, _, name = key.partition(".")
        if section == "augmentation":
            most = choices.high if isinstance(choices, Range) else max(choices)
            found[name] = max(found[name], most)
    return Augmentation.model_validate(found)
