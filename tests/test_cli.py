"""The command line: one message for a mistake, exit codes, and what each quick command prints."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from capsmed import __version__
from capsmed.cli import main
from capsmed.config import load
from capsmed.plugins import catalogue
from capsmed.plugins.description import describe

TRIES = 5  # a busy machine makes computing slower, too


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def seconds(*arguments: str, expected: str) -> float:
    """How long a process of its own computes, which must print ``expected``."""
    before = os.times()
    done = subprocess.run([sys.executable, "-m", "capsmed", *arguments], capture_output=True)
    after = os.times()
    assert expected in (done.stdout + done.stderr).decode()
    user, system = after.children_user, after.children_system
    return user - before.children_user + system - before.children_system


def test_help_comes_within_half_a_second() -> None:
    assert any(seconds("--help", expected="Commands:") < 0.5 for _ in range(TRIES))


def test_a_wrong_config_is_told_within_a_second(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text("name: x\ndata: {cohort: demo}\ntraining: {epoch: 1}\n", encoding="utf-8")
    command = ("train", "--config", str(path))
    assert any(seconds(*command, expected="did you mean 'epochs'?") < 1.0 for _ in range(TRIES))


def test_the_version_is_the_packages() -> None:
    assert run("--version").output.strip() == f"capsmed, version {__version__}"


def test_a_mistake_ends_with_one_message_and_exit_code_1() -> None:
    done = run("train", "--config", "digits", "--set", "training.epochs=0")
    assert done.exit_code == 1
    assert done.output == "Error: --set training.epochs: expected a number >= 1, got 0\n"


def test_debug_lets_the_traceback_through() -> None:
    done = run("--debug", "config", "show", "--config", "digitss")
    assert type(done.exception).__name__ == "ConfigError"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train"], "give either --config FILE_OR_NAME or --resume RUN"),
        (["train", "--config", "lung", "--resume", "runs/lung"], "give either --config"),
        (["config", "show"], "give --config FILE_OR_NAME"),
        (["trian"], "No such command 'trian'"),
        (["evaluate", "runs/x", "--overlap", "keep"], "'keep' is not one of"),
    ],
)
def test_a_wrong_call_is_answered_with_the_usage(arguments: list[str], message: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 2
    assert message in done.output


def test_resuming_what_is_no_run_is_refused(tmp_path: Path) -> None:
    done = run("train", "--resume", str(tmp_path))
    assert done.exit_code == 1
    assert "expected a run folder with config.yaml, got none" in done.output


def test_config_show_prints_the_whole_config_with_the_changes(tmp_path: Path) -> None:
    done = run("config", "show", "--config", "digits", "--set", "training.epochs=3")
    (tmp_path / "shown.yaml").write_text(done.output, encoding="utf-8")
    shown = load(tmp_path / "shown.yaml").experiment
    assert shown == load("digits", ["training.epochs=3"]).experiment


def test_config_schema_prints_json() -> None:
    assert json.loads(run("config", "schema").output)["title"] == "Experiment"


def test_init_copies_a_shipped_config_once(tmp_path: Path) -> None:
    target = tmp_path / "mine.yaml"
    assert run("init", "digits", "--out", str(target)).exit_code == 0
    assert load(target).experiment == load("digits").experiment
    again = run("init", "digits", "--out", str(target))
    assert again.exit_code == 1
    assert "expected no such file, got one" in again.output


def test_init_of_an_unknown_name_tells_the_nearest() -> None:
    done = run("init", "lung_lidk")
    assert done.exit_code == 1
    assert "did you mean 'lung_lidc'?" in done.output


def test_run_calls_a_pipelines_main(tmp_path: Path) -> None:
    script = tmp_path / "study.py"
    script.write_text("def main(out, fast=False):\n    print(out.name, fast)\n", encoding="utf-8")
    assert run("run", str(script), "--fast").output == "study-fast True\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "expected a pipeline"), ("x = 1\n", "expected a function main(out, fast), got none")],
)
def test_run_refuses_what_is_no_pipeline(text: str | None, message: str, tmp_path: Path) -> None:
    script = tmp_path / "study.py"
    if text is not None:
        script.write_text(text, encoding="utf-8")
    done = run("run", str(script))
    assert done.exit_code == 1
    assert message in done.output


def test_a_fault_of_ours_shows_its_traceback_and_asks_for_a_report(tmp_path: Path) -> None:
    script = tmp_path / "study.py"
    script.write_text("def main(out, fast=False):\n    1 / 0\n", encoding="utf-8")
    command = [sys.executable, "-m", "capsmed", "run", str(script)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
    assert done.stderr.rstrip().endswith("please report it with the lines above.")


def test_a_full_disk_is_one_message(tmp_path: Path) -> None:
    script = tmp_path / "study.py"
    fault = "OSError(errno.ENOSPC, 'No space left on device', 'runs/x')"
    script.write_text(f"import errno\ndef main(out, fast):\n    raise {fault}\n", encoding="utf-8")
    done = run("run", str(script))
    assert done.exit_code == 1
    assert done.output.startswith("Error: runs/x: cannot be used (No space left on device); free")


def test_data_get_of_an_unknown_set_names_those_there_are(tmp_path: Path) -> None:
    done = run("data", "get", "cifar", "--out", str(tmp_path))
    assert done.exit_code == 1
    assert "expected one of mnist, nodulemnist3d, got 'cifar'" in done.output


def test_list_has_one_line_or_two_for_every_component() -> None:
    done = run("list")
    assert done.exit_code == 0
    firsts = {line.split()[0] for line in done.output.splitlines() if line.strip()}
    for kind in catalogue.KINDS:
        assert set(kind.components()) <= firsts, kind.name
    assert max(map(len, done.output.splitlines())) <= 100


def test_list_tells_what_a_component_is_and_where_it_is_published() -> None:
    lines = run("list").output.splitlines()
    line = next(line for line in lines if line.startswith("dynamic "))
    assert "Routing by agreement: a lower capsule prefers" in line
    assert "Sabour, Frosst & Hinton 2017" in line
    assert any(line.startswith("digits ") and "A small CapsNet on sc" in line for line in lines)


@pytest.mark.parametrize("kind", [kind.name for kind in catalogue.KINDS])
def test_list_of_a_kind_shows_every_option_with_its_default(kind: str) -> None:
    output = run("list", kind).output
    found = catalogue.kind_called(kind)
    for name in found.components():
        assert f"\n{name} " in output
        for argument in describe(found, name).arguments:
            assert f"  {argument.name}{' = ' if argument.default else ''}" in output


def test_list_of_one_component_tells_all_of_it() -> None:
    output = run("list", "Dynamic").output
    assert "reference  Sabour, Frosst & Hinton 2017, arXiv 1710.09829, procedure 1" in output
    assert "from       capsmed: capsmed.networks.routing.dynamic.DynamicRouting" in output
    options = output.partition("options")[2]
    assert "iterations  3 " in options and "number of passes." in options
    assert "'last' | 'full'" in options and "in_capsules" not in options


def test_list_of_a_name_that_several_kinds_have_shows_each() -> None:
    output = run("list", "mnist").output
    for kind in ("importer", "data set", "configuration"):
        assert f"mnist, {kind}" in output


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("dynamik", "dynamic"), ("rooting", "routings"), ("lung-lidc", "lung_lidc")],
)
def test_list_of_an_unknown_name_tells_the_nearest(name: str, nearest: str) -> None:
    done = run("list", name)
    assert done.exit_code == 1
    assert f"got {name!r}; did you mean {nearest!r}?" in done.output
