"""What a report says of a run folder that is not there, or not whole."""

import json

import pytest

from capsmed.errors import CheckpointError
from capsmed.report import write_report
from capsmed.report.run import read_run


def start_of_a_run(folder):
    """Write the files that are read first."""
    (folder / "config.yaml").write_text("name: x\n", encoding="utf-8")
    (folder / "metrics.json").write_text(json.dumps({"classes": []}), encoding="utf-8")


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(CheckpointError, match="got no such folder; give the folder that"):
        write_report(tmp_path / "none")


def test_a_damaged_configuration_is_named(tmp_path):
    start_of_a_run(tmp_path)
    (tmp_path / "config.yaml").write_text("name: [x\n", encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"config\.yaml: expected this file"):
        read_run(tmp_path)


def test_metrics_without_a_model_are_named(tmp_path):
    start_of_a_run(tmp_path)
    with pytest.raises(CheckpointError, match=r"metrics\.json: expected this file"):
        read_run(tmp_path)
