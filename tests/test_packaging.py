"""The wheel carries all it needs: installed elsewhere, it lists its parts and trains."""

import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from capsmed import __version__, shipped

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built offline by the backend that pyproject.toml names."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "-d", str(out)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return next(out.glob("*.whl"))


def environment(home: Path, *requirement: str) -> Path:
    """Install the requirement alone into a new environment that sees this one's packages."""
    venv.create(home, with_pip=False)
    site = next(home.rglob("site-packages"))
    (site / "test_environment.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "--python", str(home), "install", "-qq"]
    offline = ["--no-deps", "--no-index", "--no-build-isolation", "--ignore-installed"]
    subprocess.run([*pip, *offline, *requirement], check=True)
    return home / ("Scripts" if os.name == "nt" else "bin") / "capsmed"


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `capsmed` command of the wheel."""
    return environment(tmp_path_factory.mktemp("installed"), str(wheel))


def call(command: Path, folder: Path, *arguments: str) -> str:
    """What the command prints; neither the checkout nor PYTHONPATH is in its sight."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [command, *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_carries_configs_pipelines_and_data_files(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for config in shipped.names("configs"):
        assert f"capsmed/_shipped/configs/{config}.yaml" in names
    assert "capsmed/_shipped/pipelines/README.md" in names
    files = [path for path in (ROOT / "capsmed").rglob("*.*") if path.is_file()]
    carried = [path for path in files if path.suffix not in (".pyc", ".part")]
    assert {path.relative_to(ROOT).as_posix() for path in carried} <= set(names)


def test_the_wheel_carries_nothing_else_but_its_metadata(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert tops == {"capsmed", f"capsmed-{__version__}.dist-info"}


def test_the_installed_wheel_lists_its_parts(installed: Path, tmp_path: Path) -> None:
    printed = call(installed, tmp_path, "list")
    assert "lung_lidc" in printed
    assert "capsnet" in printed


def test_the_installed_wheel_copies_a_shipped_config(installed: Path, tmp_path: Path) -> None:
    call(installed, tmp_path, "init", "digits")
    shipped_text = (ROOT / "configs" / "digits.yaml").read_text(encoding="utf-8")
    assert (tmp_path / "digits.yaml").read_text(encoding="utf-8") == shipped_text


def test_an_editable_install_reads_the_checkouts_configs(tmp_path: Path) -> None:
    command = environment(tmp_path / "editable", "--editable", str(ROOT))
    code = "from capsmed import shipped; print(shipped.folder('configs'))"
    printed = call(command.with_name("python"), tmp_path, "-c", code)
    assert Path(printed.strip()) == ROOT / "configs"


@pytest.mark.slow
def test_the_installed_wheel_trains(installed: Path, tmp_path: Path) -> None:
    small = ("data.limit=80", "split.folds=2", "training.epochs=1", "evaluation.bootstrap=100")
    changes = [part for change in small for part in ("--set", change)]
    printed = call(installed, tmp_path, "train", "--config", "digits", *changes)
    assert "AUC" in printed
    assert (tmp_path / "runs" / "digits" / "report.html").is_file()


def test_every_requirement_has_a_tested_version() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.partition("==")[0].lower().replace("_", "-") for line in lines}
    wanted = PROJECT["dependencies"] + sum(PROJECT["optional-dependencies"].values(), [])
    names = {text.split("[")[0].split(">")[0].lower() for text in wanted}
    assert names - {"capsmed"} <= pinned
    assert [line for line in lines if "+" in line] == []
