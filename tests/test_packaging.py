"""The wheel carries all it needs: installed elsewhere, it lists its parts and trains."""

import subprocess
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from capsmed import __version__, shipped
from tests.packages import ROOT, environment, outside_variables
from tests.python_session import PythonSession

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def installed(capsmed_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `capsmed` command of the wheel."""
    return environment(tmp_path_factory.mktemp("installed"), capsmed_wheel)


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder."""
    return tmp_path_factory.mktemp("elsewhere")


@pytest.fixture(scope="module")
def session(installed: Path, elsewhere: Path) -> Iterator[PythonSession]:
    """A process of the environment's Python that works there."""
    with PythonSession(installed.with_name("python"), elsewhere, outside_variables()) as started:
        yield started


def call(command: Path, folder: Path, *arguments: str) -> str:
    """What the command prints; neither the checkout nor PYTHONPATH is in its sight."""
    options = {"env": outside_variables(), "capture_output": True, "text": True}
    done = subprocess.run([command, *arguments], cwd=folder, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_carries_configs_pipelines_and_data_files(capsmed_wheel: Path) -> None:
    names = zipfile.ZipFile(capsmed_wheel).namelist()
    for config in shipped.names("configs"):
        assert f"capsmed/_shipped/configs/{config}.yaml" in names
    assert "capsmed/_shipped/pipelines/README.md" in names
    files = [path for path in (ROOT / "capsmed").rglob("*.*") if path.is_file()]
    carried = [path for path in files if path.suffix not in (".pyc", ".part")]
    assert {path.relative_to(ROOT).as_posix() for path in carried} <= set(names)


def test_the_wheel_carries_nothing_else_but_its_metadata(capsmed_wheel: Path) -> None:
    tops = {name.split("/")[0] for name in zipfile.ZipFile(capsmed_wheel).namelist()}
    assert tops == {"capsmed", f"capsmed-{__version__}.dist-info"}


def test_the_installed_wheel_lists_its_parts(session: PythonSession) -> None:
    done = session.run("capsmed", "list")
    assert done.returncode == 0, done.stderr
    assert "lung_lidc" in done.stdout
    assert "capsnet" in done.stdout


def test_the_installed_wheel_copies_a_shipped_config(installed: Path, tmp_path: Path) -> None:
    call(installed, tmp_path, "init", "digits")
    shipped_text = (ROOT / "configs" / "digits.yaml").read_text(encoding="utf-8")
    assert (tmp_path / "digits.yaml").read_text(encoding="utf-8") == shipped_text


def test_an_editable_install_reads_the_checkouts_configs(tmp_path: Path) -> None:
    command = environment(tmp_path / "editable", "--editable", ROOT)
    code = "from capsmed import shipped; print(shipped.folder('configs'))"
    printed = call(command.with_name("python"), tmp_path, "-c", code)
    assert Path(printed.strip()) == ROOT / "configs"


@pytest.mark.slow
def test_the_installed_wheel_trains(session: PythonSession, elsewhere: Path) -> None:
    small = ("data.limit=80", "split.folds=2", "training.epochs=1", "evaluation.bootstrap=100")
    changes = [part for change in small for part in ("--set", change)]
    done = session.run("capsmed", "train", "--config", "digits", *changes)
    assert done.returncode == 0, done.stderr
    assert "AUC" in done.stdout
    assert (elsewhere / "runs" / "digits" / "report.html").is_file()


def test_every_requirement_has_a_tested_version() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.partition("==")[0].lower().replace("_", "-") for line in lines}
    wanted = PROJECT["dependencies"] + sum(PROJECT["optional-dependencies"].values(), [])
    names = {text.split("[")[0].split(">")[0].lower() for text in wanted}
    assert names - {"capsmed"} <= pinned
    assert [line for line in lines if "+" in line] == []
