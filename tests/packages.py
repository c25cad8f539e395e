"""Wheels built offline, and environments that they are installed in."""

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def wheel_of(project: Path, out: Path) -> Path:
    """The project's wheel, built offline by the backend that its pyproject.toml names."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "-d", str(out)]
    subprocess.run(command, cwd=project, check=True, capture_output=True)
    return next(out.glob("*.whl"))


def environment(home: Path, *requirement: str | Path) -> Path:
    """Install the requirement alone into a new environment that sees this one's packages.

    Returns:
        Its command ``capsmed``; ``python`` lies beside it.
    """
    venv.create(home, with_pip=False)
    site = next(home.rglob("site-packages"))
    (site / "test_environment.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "--python", str(home), "install", "-qq"]
    offline = ["--no-deps", "--no-index", "--no-build-isolation", "--ignore-installed"]
    subprocess.run([*pip, *offline, *requirement], check=True)
    return home / ("Scripts" if os.name == "nt" else "bin") / "capsmed"


def outside_variables() -> dict[str, str]:
    """The environment variables without PYTHONPATH, which may show the checkout."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
