"""What is said about data that are not there: where they are officially had."""

from __future__ import annotations

from pathlib import Path

from capsmed import third_party
from capsmed.data.whole_sets import DATA_SOURCES
from capsmed.errors import did_you_mean

_OFFICIAL = {
    "nodulemnist3d": "NoduleMNIST3D (MedMNIST) is at https://zenodo.org/records/10519652; "
    "fetch it with: capsmed data get nodulemnist3d",
    "luna16": "LUNA16 is at https://luna16.grand-challenge.org; a table of it is written by: "
    "capsmed cohort import luna16 FOLDER OUT",
    "lidc": "LIDC-IDRI is at https://doi.org/10.7937/K9/TCIA.2015.LO9QL9SX; a table of it is "
    "written by: capsmed cohort import lidc FOLDER OUT",
    "mnist": "MNIST is at http://yann.lecun.com/exdb/mnist; fetch it with: capsmed data get mnist",
}


def missing(path: Path) -> str:
    """One message for a source that is not there: what, where officially, which command."""
    text = f"{path.parent.name}/{path.name}".lower()
    hint = next((hint for key, hint in _OFFICIAL.items() if key in text), "")
    hint = hint or "check the path in the config"
    if not path.suffix:
        hint += f"{did_you_mean(path.name, DATA_SOURCES)}{third_party.failed()}"
    return f"data.cohort: {path} was not found; {hint}"
