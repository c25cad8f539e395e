"""The one path of an experiment, its cohort: variable, start and rewriting."""

from __future__ import annotations

import os
from pathlib import Path

from capsmed.config.schema import Experiment
from capsmed.errors import ConfigError

NOT_FILES = ("demo", "digits")
_DATA = "${CAPSMED_DATA}"


def expand(experiment: Experiment, place: str) -> Experiment:
    """Replace ``${CAPSMED_DATA}``, the only variable there is, in the cohort's path.

    Raises:
        ConfigError: the variable is not set, or another one is used; ``place`` says where.
    """
    cohort, folder = experiment.data.cohort, _data_folder()
    place = f"{place}: data.cohort"
    if "${" in cohort.replace(_DATA, ""):
        raise ConfigError(
            f"{place}: expected {_DATA} as the only variable, got {cohort!r}; write the path out"
        )
    if _DATA not in cohort:
        return experiment
    if not folder:
        raise ConfigError(
            f"{place}: expected the environment variable CAPSMED_DATA to name the folder of your "
            f"data for {cohort!r}, got none; set it, or give the path with --set data.cohort=PATH; "
            "`capsmed data get NAME` fetches mnist and nodulemnist3d into such a folder"
        )
    return _with_cohort(experiment, cohort.replace(_DATA, folder))


def contract(cohort: str) -> str:
    """The cohort's path with ``${CAPSMED_DATA}`` in place of that folder where it lies there."""
    folder = _data_folder()
    if folder and cohort.startswith((f"{folder}/", f"{folder}\\")):
        return _DATA + cohort[len(folder) :]
    return cohort


def shareable(experiment: Experiment) -> Experiment:
    """The same experiment with nothing of its cohort's path but the last part.

    Folder names may tell a patient's or a user's name; the run keeps them in ``private/``. A
    path below ``${CAPSMED_DATA}`` is written with the variable by `dump` and stays.
    """
    cohort = experiment.data.cohort
    if cohort in NOT_FILES or contract(cohort) != cohort:
        return experiment
    return _with_cohort(experiment, Path(cohort).name)


def cohort_folder(experiment: Experiment, base: Path) -> str:
    """The folder of a cohort that `shareable` has shortened; '' where it has not."""
    if shareable(experiment) == experiment and not Path(base, experiment.data.cohort).exists():
        return ""
    return str(Path(base, experiment.data.cohort).resolve().parent)


def _data_folder() -> str:
    folder = os.environ.get("CAPSMED_DATA", "")
    return os.path.abspath(folder) if folder else ""


def _with_cohort(experiment: Experiment, cohort: str) -> Experiment:
    data = experiment.data.model_copy(update={"cohort": cohort})
    return experiment.model_copy(update={"data": data})
