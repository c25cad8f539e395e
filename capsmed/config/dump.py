"""Experiments as text: YAML that reads back the same, and the schema of what may be written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from capsmed.config.parse import scalar
from capsmed.config.paths import contract, shareable
from capsmed.config.schema import Experiment


def dump(experiment: Experiment) -> str:
    """The whole experiment as YAML, defaults included; ``load`` reads the same back.

    Paths below the folder of ``CAPSMED_DATA`` are written with the variable, not the folder.
    """
    content = experiment.model_dump(mode="json")
    content["data"]["cohort"] = contract(experiment.data.cohort)
    if experiment.weights.file is not None:
        content["weights"]["file"] = contract(experiment.weights.file)
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def is_of(run: Path, experiment: Experiment) -> bool:
    """Whether the run folder ``run`` was started with exactly this experiment."""
    path = run / "config.yaml"
    return path.is_file() and path.read_text(encoding="utf-8") == dump(shareable(experiment))


def json_schema() -> dict[str, Any]:
    """The JSON schema by which editors complete and check the YAML."""
    schema = Experiment.model_json_schema(mode="validation")
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    # A component's name has a default, so that `optimizer: {lr: 1e-4}` is enough.
    schema["$defs"]["Component"].pop("required")
    return schema


class _Dumper(yaml.SafeDumper):
    """Quotes the words that this project's reader would not take for text, such as 1e-3."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text_node(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    plain = scalar(text) is text
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else "'")


def _list_node(dumper: yaml.SafeDumper, items: list[Any]) -> yaml.SequenceNode:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=True)


_Dumper.add_representer(str, _text_node)
_Dumper.add_representer(list, _list_node)
