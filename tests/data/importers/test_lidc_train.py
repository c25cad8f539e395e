"""After ``cohort import lidc`` the command it names trains on the table as it is."""

import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from capsmed.cli import main
from tests.data.importers.lidc_layout import patient, write_download

NUMBERS = (0, 1, 2, 3, 4, 5, 9, 13, 14, 21, 23, 29)  # six benign, six malignant
SMALL = {
    "patch.size": "[9, 9, 9]",
    "patch.spacing": "2.0",
    "network.channels": "[2, 4, 4]",
    "network.decoder_widths": "[4, 4]",
    "augmentation.rotate": "0",
    "training.epochs": "2",
    "split.folds": "2",
    "evaluation.bootstrap": "100",
    "baselines.models": "[size_only]",
    "device": "cpu",
}


def run(*words: str) -> str:
    done = CliRunner().invoke(main, list(words), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_training_runs_on_the_imported_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAPSMED_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    write_download(tmp_path / "source", [patient(number) for number in NUMBERS])
    said = run("cohort", "import", "lidc", "source", "out")
    assert "12 cases, 12 patients" in said
    line = next(line for line in said.splitlines() if line.startswith("train on it: capsmed"))
    changes = [word for key, value in SMALL.items() for word in ("--set", f"{key}={value}")]
    run(*shlex.split(line.partition("capsmed ")[2]), *changes)
    assert (tmp_path / "runs" / "out" / "report.html").is_file()
    assert len((tmp_path / "runs" / "out" / "predictions.csv").read_text().splitlines()) >= 13
