"""A package outside capsmed, built and installed: listed, checked, trained and evaluated."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_packaging import ROOT, environment

PACKAGE = Path(__file__).with_name("plugin_package")
ADDED = {"routings": "cosine", "backbones": "pyramid", "data-sources": "discs_and_rings"}
pytestmark = pytest.mark.slow


def build(project: Path, out: Path) -> str:
    """The project's wheel, built offline."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "-d", str(out)]
    subprocess.run(command, cwd=project, check=True, capture_output=True)
    return str(next(out.glob("*.whl")))


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `capsmed` command; beside it the package, and one that cannot be imported."""
    home = tmp_path_factory.mktemp("outside")
    wheels = [build(project, home / project.name) for project in (ROOT, PACKAGE)]
    command = environment(home / "env", *wheels)
    site = next((home / "env").rglob("site-packages"))
    (site / "broken_capsules.py").write_text("import no_such_module\n", encoding="utf-8")
    info = site / "broken_capsules-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: broken-capsules\nVersion: 1.0\n", encoding="utf-8")
    entry = "[capsmed.plugins]\nbroken = broken_capsules\n"
    (info / "entry_points.txt").write_text(entry, encoding="utf-8")
    return command


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder without the checkout, where the commands run."""
    return tmp_path_factory.mktemp("elsewhere")


def run(command: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(
        [command, *arguments], cwd=folder, env=environ, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    ("name", "start", "end"),
    [
        ("src/toy_capsules/register.py", "from capsmed", "\0"),
        ("pyproject.toml", "[project.en", "[tool"),
    ],
)
def test_the_guide_shows_what_the_package_has(name, start, end) -> None:
    text = (PACKAGE / name).read_text(encoding="utf-8")
    shown = start + text.partition(start)[2].partition(end)[0].rstrip()
    assert shown in (ROOT / "docs" / "how-to" / "plugins.md").read_text(encoding="utf-8")


def test_its_components_are_listed_and_the_broken_plugin_is_named(installed, outside) -> None:
    done = run(installed, outside, "list")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    for name in ADDED.values():
        assert any(line.startswith(f"{name} ") for line in lines), name
    assert done.stdout.count("plugin toy-capsules") == len(ADDED)
    assert done.stderr == (
        "Warning: the plugin broken (broken-capsules) failed to load: ModuleNotFoundError: "
        "No module named 'no_such_module'; update or uninstall it\n"
    )


def test_its_components_keep_the_contracts(installed, outside) -> None:
    done = run(installed, outside, "plugin", "check", "toy-capsules")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAIL" not in done.stdout
    assert done.stdout.splitlines()[-1].startswith("3 components, ")


def test_a_config_that_names_them_trains_evaluates_and_goes_on(installed, outside) -> None:
    config, cohort = str(PACKAGE / "toy.yaml"), "data: {cohort: discs_and_rings}"
    assert cohort in Path(config).read_text(encoding="utf-8")
    metrics = outside / "runs/toy/metrics.json"
    for arguments in (
        ("train", "--config", config),
        ("evaluate", "runs/toy", "--cohort", "discs_and_rings", "--overlap", "out-of-fold"),
        ("train", "--resume", "runs/toy"),  # whose metrics are missing
    ):
        if "--resume" in arguments:
            metrics.unlink()
        done = run(installed, outside, *arguments)
        assert done.returncode == 0, done.stderr
    assert "cohort: discs_and_rings" in (outside / "runs/toy/config.yaml").read_text("utf-8")
    assert metrics.is_file()
    assert (outside / "runs/toy/evaluations/discs_and_rings/metrics.json").is_file()


def test_a_config_that_names_the_broken_plugins_routing_is_told_why(installed, outside) -> None:
    routing = "network.head={routing: broken}"
    config = str(PACKAGE / "toy.yaml")
    done = run(installed, outside, "train", "--config", config, "--set", routing, "--out", "other")
    assert done.returncode == 1
    assert "network.head.routing: expected one of " in done.stderr
    assert "; the plugin broken (broken-capsules) failed to load: ModuleNotFound" in done.stderr
    assert not (outside / "other").exists()
