"""`capsmed train` from beginning to end, again, and stopped in the middle."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from capsmed.cli import main

TINY = (
    "train",
    *("--config", "digits", "--device", "cpu"),
    *("--set", "data.limit=80", "--set", "split.folds=2"),
    *("--set", "network={channels: [4], kernel_sizes: [3], primary_capsules: 2}"),
    *("--set", "network.primary_kernel=3", "--set", "network.decoder_widths=[8, 8]"),
    *("--set", "evaluation.bootstrap=100"),
)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A run folder of one epoch, and what making it printed."""
    out = tmp_path_factory.mktemp("runs") / "digits"
    done = run(*TINY, "--set", "training.epochs=1", "--out", str(out))
    assert done.exit_code == 0, done.output
    return out, done


def test_a_training_prints_its_result_and_leaves_a_report(finished: tuple[Path, Result]) -> None:
    out, done = finished
    assert "AUC" in done.output
    assert "Research use only" in done.output
    assert (out / "report.html").is_file()


def test_the_finished_run_is_shown_instead_of_trained_again(finished: tuple[Path, Result]) -> None:
    out, _ = finished
    before = (out / "metrics.json").stat().st_mtime_ns
    again = run(*TINY, "--set", "training.epochs=1", "--out", str(out), "--continue")
    resumed = run("train", "--resume", str(out))
    for done in (again, resumed):
        assert done.output.startswith(f"{out} is finished; its result:")
        assert "AUC" in done.output
    assert (out / "metrics.json").stat().st_mtime_ns == before


def test_an_existing_run_is_never_overwritten(finished: tuple[Path, Result]) -> None:
    out, _ = finished
    before = (out / "config.yaml").read_bytes()
    done = run(*TINY, "--out", str(out))
    assert done.exit_code == 1
    assert f"go on with it by `capsmed train --resume {out}`" in done.output
    assert (out / "config.yaml").read_bytes() == before


def test_another_configuration_cannot_go_on_with_a_run(finished: tuple[Path, Result]) -> None:
    out, _ = finished
    done = run(*TINY, "--set", "training.epochs=9", "--out", str(out), "--continue")
    assert done.exit_code == 1
    assert "epochs: 9" in done.output


def test_the_report_is_written_again_from_the_run_folder(finished: tuple[Path, Result]) -> None:
    out, _ = finished
    (out / "report.html").unlink()
    done = run("report", str(out))
    assert done.output.strip() == str(out / "report.html")
    assert (out / "report.html").is_file()


def test_wrong_components_are_listed_before_any_data_are_read(tmp_path: Path) -> None:
    options = ("network.clas_dim=4", "optimizer.lr=high", "loss=margni", "data.cohort=nowhere.csv")
    changes = [part for option in options for part in ("--set", option)]
    done = run(*TINY, *changes, "--out", str(tmp_path / "run"))
    assert done.exit_code == 1
    for mistake in ("did you mean 'class_dim'?", "got 'high'", "did you mean 'margin'?"):
        assert mistake in done.output
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one child process")
@pytest.mark.slow
def test_ctrl_c_ends_with_the_command_that_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "run"
    changes = ("--set", "training.epochs=2000", "--out", str(out))
    command = [sys.executable, "-m", "capsmed", *TINY, *changes]
    # A shell's background job ignores Ctrl-C and hands that down to its children.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:
        signal.signal(signal.SIGINT, before)
        while not list(out.rglob("history.csv")) and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=600)
    assert process.returncode == 130
    assert f"stopped; go on with `capsmed train --resume {out}`" in errors
    assert "Traceback" not in errors
    assert list(out.rglob("last.pt"))
