"""The paths of an experiment, its cohort and its weights: variable, start and rewriting."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from capsmed.config.parse import Key
from capsmed.config.schema import Experiment
from capsmed.errors import ConfigError

NOT_FILES = ("demo", "digits")
_DATA = "${CAPSMED_DATA}"


def expand(experiment: Experiment, place: Callable[[Key], str]) -> Experiment:
    """Replace ``${CAPSMED_DATA}``, the only variable there is, in the experiment's paths.

    Raises:
        ConfigError: the variable is not set, or another one is used; ``place`` says where.
    """
    cohort = _expanded(experiment.data.cohort, "data.cohort", place(("data", "cohort")))
    experiment = _with_cohort(experiment, cohort)
    if experiment.weights.file is None:
        return experiment
    place_of_file = place(("weights", "file"))
    return with_weights(
        experiment, _expanded(experiment.weights.file, "weights.file", place_of_file)
    )


def _expanded(path: str, key: str, place: str) -> str:
    folder, place = _data_folder(), f"{place}: {key}"
    if "${" in path.replace(_DATA, ""):
        raise ConfigError(
            f"{place}: expected {_DATA} as the only variable, got {path!r}; write the path out"
        )
    if _DATA in path and not folder:
        advice = "`capsmed data get NAME` fetches mnist and nodulemnist3d into such a folder"
        raise ConfigError(
            f"{place}: expected the environment variable CAPSMED_DATA to name the folder of your "
            f"data for {path!r}, got none; set it, or give the path with --set {key}=PATH; {advice}"
        )
    return path.replace(_DATA, folder)


def contract(path: str) -> str:
    """The path with ``${CAPSMED_DATA}`` in place of that folder where it lies there."""
    folder = _data_folder()
    if folder and path.startswith((f"{folder}/", f"{folder}\\")):
        return _DATA + path[len(folder) :]
    return path


def shareable(experiment: Experiment) -> Experiment:
    """The same experiment with nothing of its paths but the last part.

    Folder names may tell a patient's or a user's name; the run keeps them in ``private/``. A
    path below ``${CAPSMED_DATA}`` is written with the variable by `dump` and stays.
    """
    cohort, file = experiment.data.cohort, experiment.weights.file
    if cohort not in NOT_FILES and contract(cohort) == cohort:
        experiment = _with_cohort(experiment, Path(cohort).name)
    if file is not None and contract(file) == file:
        experiment = with_weights(experiment, Path(file).name)
    return experiment


def cohort_folder(experiment: Experiment, base: Path) -> str:
    """The folder of a cohort that `shareable` has shortened; '' where it has not."""
    cohort = experiment.data.cohort
    if shareable(experiment).data.cohort == cohort and not Path(base, cohort).exists():
        return ""
    return str(Path(base, cohort).resolve().parent)


def weights_folder(experiment: Experiment, base: Path) -> str:
    """The folder of the weights' file; '' where there is none or the variable names it."""
    file = experiment.weights.file
    if file is None or contract(file) != file:
        return ""
    return str(Path(base, file).resolve().parent)


def with_weights(experiment: Experiment, file: str) -> Experiment:
    """The same experiment with another path of its weights' file."""
    weights = experiment.weights.model_copy(update={"file": file})
    return experiment.model_copy(update={"weights": weights})


def _data_folder() -> str:
    folder = os.environ.get("CAPSMED_DATA", "")
    return os.path.abspath(folder) if folder else ""


def _with_cohort(experiment: Experiment, cohort: str) -> Experiment:
    data = experiment.data.model_copy(update={"cohort": cohort})
    return experiment.model_copy(update={"data": data})
