"""The configuration of an experiment: its schema, and how a YAML file becomes one."""

from capsmed.config.dump import dump, json_schema
from capsmed.config.load import Loaded, load, load_run
from capsmed.config.paths import cohort_folder, shareable
from capsmed.config.schema import (
    Augmentation,
    Component,
    Data,
    Evaluation,
    Experiment,
    Patch,
    Section,
    Split,
    Training,
)

__all__ = [
    "cohort_folder",
    "Augmentation",
    "Component",
    "Data",
    "Evaluation",
    "Experiment",
    "Loaded",
    "Patch",
    "Section",
    "Split",
    "Training",
    "dump",
    "json_schema",
    "load",
    "load_run",
    "shareable",
]
