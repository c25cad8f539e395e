"""A package outside capsmed, built and installed: listed, checked, trained and evaluated."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.packages import ROOT, environment, outside_variables, wheel_of
from tests.python_session import PythonSession

PACKAGE = Path(__file__).with_name("plugin_package")
ADDED = {"routings": "cosine", "backbones": "pyramid", "data-sources": "discs_and_rings"}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installed(capsmed_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `capsmed` command; beside it the package, and one that cannot be imported."""
    home = tmp_path_factory.mktemp("outside")
    command = environment(home / "env", capsmed_wheel, wheel_of(PACKAGE, home))
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


@pytest.fixture(scope="module")
def session(installed: Path, outside: Path) -> Iterator[PythonSession]:
    """A process of the environment's Python that works there."""
    python = installed.with_name("python")
    with PythonSession(python, outside, outside_variables()) as started:
        yield started


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
    options = {"env": outside_variables(), "capture_output": True, "text": True}
    done = subprocess.run([installed, "list"], cwd=outside, **options)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    for name in ADDED.values():
        assert any(line.startswith(f"{name} ") for line in lines), name
    assert done.stdout.count("plugin toy-capsules") == len(ADDED)
    assert done.stderr == (
        "Warning: the plugin broken (broken-capsules) failed to load: ModuleNotFoundError: "
        "No module named 'no_such_module'; update or uninstall it\n"
    )


def test_its_components_keep_the_contracts(session) -> None:
    done = session.run("capsmed", "plugin", "check", "toy-capsules")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAIL" not in done.stdout
    assert done.stdout.splitlines()[-1].startswith("3 components, ")


def test_a_config_that_names_them_trains_evaluates_and_goes_on(session, outside) -> None:
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
        done = session.run("capsmed", *arguments)
        assert done.returncode == 0, done.stderr
    assert "cohort: discs_and_rings" in (outside / "runs/toy/config.yaml").read_text("utf-8")
    assert metrics.is_file()
    assert (outside / "runs/toy/evaluations/discs_and_rings/metrics.json").is_file()


def test_a_config_that_names_the_broken_plugins_routing_is_told_why(session, outside) -> None:
    routing = "network.head={routing: broken}"
    config = str(PACKAGE / "toy.yaml")
    done = session.run("capsmed", "train", "--config", config, "--set", routing, "--out", "other")
    assert done.returncode == 1
    assert "network.head.routing: expected one of " in done.stderr
    assert "; the plugin broken (broken-capsules) failed to load: ModuleNotFound" in done.stderr
    assert not (outside / "other").exists()
