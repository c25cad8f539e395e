"""Opening a run folder: a new one is written, an existing one must be of the same experiment."""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path

import pandas as pd

from capsmed import atomic, config
from capsmed.config import Experiment
from capsmed.data.cohort import Cohort
from capsmed.data.patches import PatchSet
from capsmed.engines import weights
from capsmed.engines.run_folder import RunFolder
from capsmed.errors import CheckpointError, ConfigError, DataError

_FIRST_FILES = {"cohort.csv", "splits.csv", "private"}  # all that is there before config.yaml


def open_run(
    run: RunFolder,
    experiment: Experiment,
    cohort: Cohort,
    patches: PatchSet,
    splits: pd.DataFrame,
    base: Path,
) -> None:
    """Write the run's first files, or check that an existing run is the same experiment.

    Raises:
        ConfigError: the existing run's configuration differs.
        DataError: the cohort's cases or folds have changed since.
    """
    if (run.path / "config.yaml").exists():
        _check_same(run, config.shareable(experiment), cohort, splits)
        _check_weights(run, experiment, base)
        for left in run.path.rglob(".*.part"):  # of a write that was killed
            left.unlink()
    else:
        _write(run, experiment, cohort, patches, splits, base)


def check_folder(run: RunFolder, resume: bool) -> None:
    """Refuse a folder that is not new, unless a run in it is to be gone on with.

    Raises:
        ConfigError: it holds a run and ``resume`` is not set, or files that are no run's.
    """
    if (run.path / "config.yaml").exists():
        if resume:
            return
        raise ConfigError(
            f"{run.path}: expected no such folder, got an existing run; go on with it by "
            f"`capsmed train --resume {run.path}` or choose another with --out"
        )
    found = {path.name for path in run.path.iterdir()} if run.path.is_dir() else set()
    if any(path.is_file() for path in (run.path, *run.path.parents)) or found - _FIRST_FILES:
        raise ConfigError(
            f"{run.path}: expected a new or empty folder, got a file or one with other files; "
            "choose another with --out"
        )


def describe_cases(cohort: Cohort, patches: PatchSet, salt: str) -> pd.DataFrame:
    """Return the shareable case table: pseudonyms instead of patient ids, no paths."""
    table = cohort.table
    included = table["excluded"] == ""
    targets = table["label"].map({name: i for i, name in enumerate(cohort.classes)})
    return pd.DataFrame(
        {
            "case_id": table["case_id"],
            "patient": [pseudonym(patient, salt) for patient in table["patient_id"]],
            "label": table["label"],
            "target": targets.astype("Int64"),
            "status": included.map({True: "included", False: "excluded"}),
            "reason": table["excluded"],
            "diameter_mm": table["diameter_mm"],
            "diameter_from": table["diameter_from"],
            "point_from": table["point_from"],
            **patches.described(table["case_id"]),
        }
    )


def pseudonym(patient_id: str, salt: str) -> str:
    """Return a name for a patient that cannot be led back without the run's salt."""
    if not patient_id:
        return ""
    return "P" + hashlib.sha256(f"{salt}:{patient_id}".encode()).hexdigest()[:10]


def _write(
    run: RunFolder,
    experiment: Experiment,
    cohort: Cohort,
    patches: PatchSet,
    splits: pd.DataFrame,
    base: Path,
) -> None:
    """Write the first files, ``config.yaml`` last: it is what makes the folder a run."""
    salt = secrets.token_hex(16)
    cases = describe_cases(cohort, patches, salt)
    run.write_table("cohort.csv", cases)
    run.write_table("splits.csv", splits)
    ids = cohort.table[["case_id", "patient_id"]].assign(patient=cases["patient"])
    if "image" in cohort.table:
        ids["image"] = cohort.table["image"]
    ids["folder"] = config.cohort_folder(experiment, base)
    run.write_private("ids.csv", ids)
    if experiment.weights.file is not None:
        folder = config.weights_folder(experiment, base)
        run.write_private("weights.csv", pd.DataFrame({"folder": [folder]}))
    run.write_private("salt.csv", pd.DataFrame({"salt": [salt]}))
    atomic.write_text(run.path / "config.yaml", config.dump(config.shareable(experiment)))


def _check_same(
    run: RunFolder, experiment: Experiment, cohort: Cohort, splits: pd.DataFrame
) -> None:
    before = _lines(config.shareable(config.load_run(run.path).experiment))
    now = _lines(experiment)
    if before != now:
        changed = [line.strip() for line in now if line not in before][:5] or ["a removed key"]
        raise ConfigError(
            f"{run.path}: expected the configuration this run was started with, got other values "
            f"({'; '.join(changed)}); choose another folder with --out"
        )
    known = run.read_table("splits.csv")
    if not known.astype(str).equals(splits.astype(str).reset_index(drop=True)):
        raise DataError(
            f"{run.path}: expected the cases and folds this run was started with, got others "
            "(the cohort has changed); start a new run with --out"
        )
    recorded = run.path / "environment.json"
    if recorded.exists() and run.read_json(recorded.name).get("data_digest") != cohort.digest:
        raise DataError(
            f"{run.path}: expected the labels and images this run was started with, got changed "
            "ones (the cohort has changed); start a new run with --out"
        )


def _check_weights(run: RunFolder, experiment: Experiment, base: Path) -> None:
    recorded = run.path / "environment.json"
    if not recorded.exists():
        return
    known = run.read_json(recorded.name).get("weights_digest")
    if known != weights.digest(experiment.weights, base):
        raise CheckpointError(
            f"{run.path}: expected the file of weights this run was started with, got one of the "
            "same name with other content; start a new run with --out"
        )


def _lines(experiment: Experiment) -> list[str]:
    """Return the configuration's lines; device and tracking may change between sittings."""
    free = {"device": "auto", "tracking": config.Tracking()}
    return config.dump(experiment.model_copy(update=free)).splitlines()
